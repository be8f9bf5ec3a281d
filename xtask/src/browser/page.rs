//! A page in a browser as a person has it: things that are looked for until they are there, and a console that stays
//! empty.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::session::{ConsoleLine, Element, Refusal, Session};
use crate::scenario::wait::Patience;

/// How long something may take to appear, whatever the machine is busy with.
const APPEAR_LIMIT: Duration = Duration::from_secs(60);

/// Puts what a content security policy stopped on the console, before any script of the page runs.
const REPORT_VIOLATIONS: &str = "document.addEventListener('securitypolicyviolation', event => console.error(\
     'policy violated: ' + event.effectiveDirective + ' by ' + event.blockedURI + ' ' + event.sample));";

/// Keys that have no letter, as WebDriver writes them.
pub(crate) mod keys {
    pub(crate) const TAB: &str = "\u{e004}";
    pub(crate) const ENTER: &str = "\u{e007}";
    pub(crate) const ESCAPE: &str = "\u{e00c}";
    /// Control and A, then Control is let go of, then Backspace.
    pub(crate) const EMPTY_FIELD: &str = "\u{e009}a\u{e000}\u{e003}";
}

/// How wide the page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    /// 390 px, a phone.
    Phone,
    /// 1,280 px, a laptop.
    Laptop,
}

impl Width {
    pub(crate) const BOTH: &[Self] = &[Self::Laptop, Self::Phone];

    pub(crate) fn px(self) -> u32 {
        match self {
            Self::Phone => 390,
            Self::Laptop => 1280,
        }
    }

    fn height_px(self) -> u32 {
        match self {
            Self::Phone => 760,
            Self::Laptop => 680,
        }
    }
}

/// What the person has asked their system for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Theme {
    Light,
    Dark,
}

impl Theme {
    pub(crate) const BOTH: &[Self] = &[Self::Light, Self::Dark];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// An open browser with one page.
#[derive(Debug)]
pub(crate) struct Page {
    session: Session,
    patience: Patience,
    downloads: PathBuf,
    console: RefCell<Vec<ConsoleLine>>,
    /// What may come on the console: lines that have all these words.
    expected: RefCell<Vec<&'static [&'static str]>>,
}

impl Page {
    /// A page of this width in a fresh browser. What it downloads goes into `downloads`.
    pub(crate) fn new(session: Session, width: Width, downloads: &Path, patience: &Patience) -> Result<Self> {
        let page = Self {
            session,
            patience: patience.clone(),
            downloads: downloads.to_owned(),
            console: RefCell::default(),
            expected: RefCell::default(),
        };
        page.session
            .devtools("Page.addScriptToEvaluateOnNewDocument", &json!({"source": REPORT_VIOLATIONS}))?;
        fs::create_dir_all(downloads)?;
        let behaviour = json!({"behavior": "allow", "downloadPath": downloads});
        page.session.devtools("Browser.setDownloadBehavior", &behaviour)?;
        // What a page may ask the person for; nobody is there to be asked.
        let permissions = json!({"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]});
        page.session.devtools("Browser.grantPermissions", &permissions)?;
        page.resize(width)?;
        page.wear(Theme::Light)?;
        Ok(page)
    }

    pub(crate) fn close(self) -> Result<()> {
        self.session.close()
    }

    pub(crate) fn resize(&self, width: Width) -> Result<()> {
        let metrics = json!({"width": width.px(), "height": width.height_px(), "deviceScaleFactor": 1, "mobile": false});
        self.session.devtools("Emulation.setDeviceMetricsOverride", &metrics).map(drop)
    }

    /// As if the person's system was set to this theme, and to few movements: what moves is never the same twice.
    pub(crate) fn wear(&self, theme: Theme) -> Result<()> {
        let features = json!([
            {"name": "prefers-color-scheme", "value": theme.name()},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]);
        self.session.devtools("Emulation.setEmulatedMedia", &json!({"features": features})).map(drop)
    }

    pub(crate) fn open(&self, url: &str) -> Result<()> {
        self.session.go(url).with_context(|| format!("cannot open {}", without_secret(url)))
    }

    /// Goes away from the page, to where nothing is.
    pub(crate) fn leave(&self) -> Result<()> {
        self.session.go("about:blank")
    }

    pub(crate) fn reload(&self) -> Result<()> {
        self.session.reload()
    }

    /// What an expression is worth in the page now.
    pub(crate) fn value(&self, expression: &str) -> Result<Value> {
        self.session.run(&format!("return ({expression});"), &[]).with_context(|| expression.to_owned())
    }

    /// Runs the body of an asynchronous function in the page, and waits for what it returns.
    pub(crate) fn run(&self, body: &str, arguments: &[Value]) -> Result<Value> {
        let script = format!(
            "const given = [...arguments], done = given.pop();\
             (async (...given) => {{ {body} }})(...given).then(value => done({{value}}), error => done({{error: String(error)}}));"
        );
        let mut answer = self.session.run_until_called(&script, arguments)?;
        ensure!(answer["error"].is_null(), "the page's script failed: {}", answer["error"]);
        Ok(answer["value"].take())
    }

    /// Waits until an expression is true, or something like it. An expression that cannot be evaluated is not true yet.
    pub(crate) fn until(&self, what: &str, expression: &str) -> Result<Value> {
        let script = format!("return ({expression});");
        self.until_done(what, || {
            let value = self.session.run(&script, &[])?;
            let holds = !matches!(&value, Value::Null | Value::Bool(false))
                && value != json!(0)
                && value != json!("");
            Ok(holds.then_some(value))
        })
    }

    /// Waits until an element is seen.
    pub(crate) fn sees(&self, selector: &str) -> Result<()> {
        self.until(&format!("{selector} to be seen"), &seen(selector)).map(drop)
    }

    /// Waits until no such element is seen.
    pub(crate) fn sees_no(&self, selector: &str) -> Result<()> {
        self.until(&format!("{selector} to be gone"), &format!("!({})", seen(selector))).map(drop)
    }

    /// Waits until an element that is seen says this, whatever the case of its letters.
    pub(crate) fn says(&self, selector: &str, words: &str) -> Result<()> {
        let (quoted, words_quoted) = (json!(selector), json!(words.to_lowercase()));
        let expression = format!(
            "[...document.querySelectorAll({quoted})].some(e => e.checkVisibility() && \
             (e.innerText ?? e.textContent).toLowerCase().includes({words_quoted}))"
        );
        self.until(&format!("{selector} to say {words:?}"), &expression).map(drop)
    }

    /// What an element says now.
    pub(crate) fn text(&self, selector: &str) -> Result<String> {
        let text = self.until(
            &format!("{selector} to say something"),
            &format!(
                "((e) => e && (e.value || e.innerText || e.textContent).trim())(document.querySelector({}))",
                json!(selector)
            ),
        )?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    pub(crate) fn click(&self, selector: &str) -> Result<()> {
        self.on(selector, "clicked", |element| self.session.click(element))
    }

    /// Puts a text in the place of what a field has, key by key.
    pub(crate) fn fill(&self, selector: &str, text: &str) -> Result<()> {
        let typed = format!("{}{text}", keys::EMPTY_FIELD);
        self.on(selector, "filled in", |element| self.session.type_into(element, &typed))
    }

    /// Chooses files in a file input, which need not be seen.
    pub(crate) fn choose(&self, selector: &str, files: &[&Path]) -> Result<()> {
        let paths = files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join("\n");
        let input = self.session.find(selector).with_context(|| selector.to_owned())?;
        self.session.type_into(&input, &paths)
    }

    /// Presses keys wherever the focus is.
    pub(crate) fn press(&self, keys: &str) -> Result<()> {
        self.session.press(keys)
    }

    /// Presses Tab until the focus is on an element, as somebody without a mouse does.
    pub(crate) fn tab_to(&self, selector: &str) -> Result<()> {
        const STEPS_MAX: usize = 150;
        self.sees(selector)?;
        for _ in 0..STEPS_MAX {
            self.press(keys::TAB)?;
            if self.value(&format!("!!document.activeElement?.matches({})", json!(selector)))? == true {
                return Ok(());
            }
        }
        bail!("{selector} is not reached by {STEPS_MAX} presses of Tab");
    }

    /// Drags files and folders of this machine onto an element and lets go of them there.
    pub(crate) fn drop_on(&self, selector: &str, paths: &[&Path]) -> Result<()> {
        self.sees(selector)?;
        let place = self.value(&format!(
            "((e) => {{ e.scrollIntoView({{block: 'center'}}); const box = e.getBoundingClientRect(); \
             return {{x: box.x + box.width / 2, y: box.y + box.height / 2}}; }})(document.querySelector({}))",
            json!(selector)
        ))?;
        for kind in ["dragEnter", "dragOver", "drop"] {
            let data = json!({"items": [], "files": paths, "dragOperationsMask": 1});
            let event = json!({"type": kind, "x": place["x"], "y": place["y"], "data": data});
            self.session.devtools("Input.dispatchDragEvent", &event)?;
        }
        Ok(())
    }

    /// Waits until a download with this name is complete, and says where it is.
    pub(crate) fn downloaded(&self, name: &str) -> Result<PathBuf> {
        let path = self.downloads.join(name);
        self.patience.until(&format!("{name} to be downloaded"), APPEAR_LIMIT, || {
            // Until then it has another name.
            Ok(path.is_file().then(|| path.clone()))
        })
    }

    /// Whether something is wider than the page, so that one has to scroll sideways.
    pub(crate) fn scrolls_sideways(&self) -> Result<bool> {
        Ok(self.value("document.documentElement.scrollWidth > document.documentElement.clientWidth")? == true)
    }

    pub(crate) fn screenshot(&self) -> Result<Vec<u8>> {
        self.session.screenshot()
    }

    /// Moves the pointer to where it touches nothing.
    pub(crate) fn point_away(&self) -> Result<()> {
        let nowhere = json!({"type": "mouseMoved", "x": 0, "y": 0});
        self.session.devtools("Input.dispatchMouseEvent", &nowhere).map(drop)
    }

    pub(crate) fn source(&self) -> Result<String> {
        self.session.source()
    }

    /// From now on lines with all these words may come on the console. Chromium reports every answer of 400 and above
    /// there, and a page cannot keep it from doing so.
    pub(crate) fn expect_on_console(&self, words: &'static [&'static str]) {
        self.expected.borrow_mut().push(words);
    }

    /// All that came on the console so far.
    pub(crate) fn console(&self) -> Result<Vec<ConsoleLine>> {
        let mut lines = self.console.borrow_mut();
        lines.extend(self.session.console()?);
        Ok(lines.clone())
    }

    /// Fails if there is an error or a warning on the console that was not expected. What a policy stopped is there too.
    pub(crate) fn assert_quiet(&self) -> Result<()> {
        let expected = self.expected.borrow();
        let is_expected =
            |line: &ConsoleLine| expected.iter().any(|words| words.iter().all(|w| line.text.contains(w)));
        let found: Vec<String> = (self.console()?.iter())
            .filter(|line| ["SEVERE", "WARNING"].contains(&line.level.as_str()) && !is_expected(line))
            .map(|line| format!("\n    {}: {}", line.level, line.text))
            .collect();
        ensure!(found.is_empty(), "the console is not quiet:{}", found.concat());
        Ok(())
    }

    fn on(&self, selector: &str, done: &str, act: impl Fn(&Element) -> Result<()>) -> Result<()> {
        self.until_done(&format!("{selector} to be {done}"), || {
            act(&self.session.find(selector)?)?;
            Ok(Some(()))
        })
    }

    /// Tries again as long as the page may come to a state in which it works. The error has the last refusal.
    fn until_done<T>(&self, what: &str, mut act: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        let mut last = None;
        let ended = self.patience.until(what, APPEAR_LIMIT, || match act() {
            Err(error) => match error.downcast::<Refusal>() {
                Ok(refusal) if refusal.may_pass() => {
                    last = Some(refusal);
                    Ok(None)
                }
                Ok(refusal) => Err(refusal.into()),
                Err(error) => Err(error),
            },
            Ok(found) => Ok(found),
        });
        match last {
            Some(refusal) => ended.with_context(|| format!("at last: {refusal}")),
            None => ended,
        }
    }
}

fn seen(selector: &str) -> String {
    format!("[...document.querySelectorAll({})].some(e => e.checkVisibility())", json!(selector))
}

/// A sign-in address without what signs in.
fn without_secret(url: &str) -> &str {
    url.split('=').next().unwrap_or(url)
}
