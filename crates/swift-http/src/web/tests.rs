use std::collections::BTreeSet;

use super::*;

/// Bytes of all that the first look at the page loads, and of everything.
const FIRST_LEN_MAX: usize = 60_000;
const ALL_LEN_MAX: usize = 120_000;

fn asked(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn text(asset: &Asset) -> &'static str {
    std::str::from_utf8(asset.content).expect("the page is written by hand")
}

/// What stands between `start` and the next quote, wherever `start` is.
fn quoted<'t>(text: &'t str, start: &str) -> impl Iterator<Item = &'t str> {
    text.split(start).skip(1).filter_map(|rest| rest.split(['"', '\'']).next())
}

/// The parts that a part cannot do without: a browser loads them with it.
fn needed(name: &str, found: &mut BTreeSet<&'static str>) {
    let asset = ASSETS.iter().find(|asset| asset.name == name).expect(name);
    if found.insert(asset.name) {
        let starts = ["\"/web/", "from './", "import './"];
        starts.iter().flat_map(|start| quoted(text(asset), start)).for_each(|name| needed(name, found));
    }
}

#[test]
fn the_first_look_and_all_of_the_page_fit_their_budgets() {
    let mut first = BTreeSet::new();
    needed(PAGE, &mut first);
    needed("overview.js", &mut first);
    let len = |is_counted: &dyn Fn(&Asset) -> bool| -> usize {
        ASSETS.iter().filter(|asset| is_counted(asset)).map(|asset| asset.content.len()).sum()
    };
    let (first_len, all_len) = (len(&|asset| first.contains(asset.name)), len(&|_| true));
    assert!(first.len() > 5 && first_len < FIRST_LEN_MAX, "{first:?}: {first_len} bytes");
    assert!(all_len < ALL_LEN_MAX, "{all_len} bytes");
}

#[test]
fn every_part_that_the_page_names_is_there_and_every_file_is_a_part() {
    let parts: BTreeSet<&str> = ASSETS.iter().map(|asset| asset.name).collect();
    assert_eq!(parts.len(), ASSETS.len());
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
    let files =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(files.collect::<BTreeSet<_>>(), parts.iter().map(|&name| name.to_owned()).collect());

    let mut named = BTreeSet::new();
    for asset in ASSETS {
        let starts: &[&str] = match asset.kind {
            Kind::Page => &["\"/web/"],
            Kind::Script => &["from './", "import './", "import('./"],
            Kind::Style | Kind::Image => &[],
        };
        named.extend(starts.iter().flat_map(|start| quoted(text(asset), start)));
    }
    named.insert(PAGE);
    assert_eq!(named, parts, "what is named, and what there is");
}

#[test]
fn the_page_asks_nobody_elsewhere_for_anything() {
    for asset in ASSETS {
        for scheme in ["http://", "https://", "ws://", "wss://", "\"//", "'//", "url(", "@import"] {
            for (at, _) in text(asset).match_indices(scheme) {
                let rest = &text(asset)[at..];
                // The name of what an SVG is made of: no browser asks for it.
                assert!(rest.starts_with("http://www.w3.org/2000/svg"), "{}: {rest:.40}", asset.name);
            }
        }
    }
}

#[test]
fn no_text_is_made_into_markup_and_nothing_is_inline() {
    for asset in ASSETS {
        let taboo: &[&str] = match asset.kind {
            Kind::Script => {
                &["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("]
            }
            Kind::Page => &["<style", " style=", " onclick", " onload", "javascript:"],
            Kind::Style => &[],
            Kind::Image => &["<script", "<foreignObject"],
        };
        for taboo in taboo {
            assert!(!text(asset).contains(taboo), "{}: {taboo}", asset.name);
        }
    }
    let page = text(&ASSETS[0]);
    assert_eq!(page.matches("<script").count(), page.matches("<script type=\"module\" src=").count());
}

#[test]
fn a_browser_is_told_from_a_program_by_what_it_accepts() {
    let chromium = "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8";
    for accept in [chromium, "text/html", "application/json, TEXT/HTML;q=0.1"] {
        assert!(wants_page(&asked(&[("accept", accept)])), "{accept}");
    }
    for accept in ["*/*", "application/json", "text/*", "", "text/htmlx"] {
        assert!(!wants_page(&asked(&[("accept", accept)])), "{accept}");
    }
    assert!(!wants_page(&HeaderMap::new()));
}

#[test]
fn every_part_has_its_type_its_tag_and_what_it_may_do() {
    let assets = Assets::new();
    for asset in ASSETS {
        let response = assets.answer(asset.name, &HeaderMap::new()).unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let header = |name| response.headers()[name].to_str().unwrap();
        assert_eq!(header(header::CACHE_CONTROL), "no-cache");
        assert_eq!(header(header::X_CONTENT_TYPE_OPTIONS), "nosniff");
        assert_eq!(header(header::REFERRER_POLICY), "no-referrer");
        assert_eq!(header(header::CONTENT_TYPE).as_bytes(), asset.kind.media_type().as_bytes());
        let policy = header(header::CONTENT_SECURITY_POLICY);
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");

        let tag = header(header::ETAG);
        assert!(tag.starts_with('"') && tag.ends_with('"'), "a strong one: {tag}");
        let weak = format!("W/{tag}");
        for known in [tag, "*", &weak, &format!("\"other\", {tag}")] {
            let again = assets.answer(asset.name, &asked(&[("if-none-match", known)])).unwrap();
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(again.headers()[header::ETAG], tag);
        }
        let changed = assets.answer(asset.name, &asked(&[("if-none-match", "\"other\"")])).unwrap();
        assert_eq!(changed.status(), StatusCode::OK);
    }
    assert!(assets.answer("../Cargo.toml", &HeaderMap::new()).is_none());
}
