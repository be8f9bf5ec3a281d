//! One browser, spoken to by WebDriver: JSON over HTTP, a request for each command.
//!
//! Of the protocol there is what the tests use. Why no library does this is told in decision 0021.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::scenario::http::{self, Request};

/// A command must be answered within this time. Longer than the driver's own limits, which have better errors.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);
/// How long a script may take, or a page to load.
const SCRIPT_LIMIT_S: u64 = 60;
/// How the protocol marks an element in JSON.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// What the driver answers when it did not do what it was told.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// One of the protocol's errors, as `no such element`.
    pub(crate) error: String,
    message: String,
}

impl Refusal {
    /// Whether the page may come to a state in which the same command is done.
    pub(crate) fn may_pass(&self) -> bool {
        const PASSING: &[&str] = &[
            "no such element",
            "stale element reference",
            "element not interactable",
            "element click intercepted",
            "javascript error",
        ];
        PASSING.contains(&self.error.as_str())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What follows the first line says which browser this is.
        write!(f, "{}: {}", self.error, self.message.lines().next().unwrap_or_default())
    }
}

impl std::error::Error for Refusal {}

/// A line of the browser's console.
#[derive(Clone, Debug)]
pub(crate) struct ConsoleLine {
    pub(crate) level: String,
    pub(crate) text: String,
}

/// An element that was found. It is good for as long as the page has it.
#[derive(Debug)]
pub(crate) struct Element(String);

/// A browser that is open. Whoever is done with it closes it; otherwise it ends with the driver.
#[derive(Debug)]
pub(crate) struct Session {
    driver: SocketAddr,
    id: String,
}

impl Session {
    pub(super) fn open(driver: SocketAddr, capabilities: &Value) -> Result<Self> {
        let asked = json!({"capabilities": {"alwaysMatch": capabilities}});
        let opened = command(driver, "POST", "/session", &asked).context("cannot open a browser")?;
        let id =
            opened["sessionId"].as_str().context("chromedriver opened a browser without an id")?.to_owned();
        let session = Self { driver, id };
        let limit_ms = SCRIPT_LIMIT_S * 1_000;
        session.post("/timeouts", &json!({"script": limit_ms, "pageLoad": limit_ms}))?;
        Ok(session)
    }

    pub(crate) fn close(self) -> Result<()> {
        self.command("DELETE", "", &Value::Null).map(drop)
    }

    /// Opens an address and waits until the page is loaded.
    pub(crate) fn go(&self, url: &str) -> Result<()> {
        self.post("/url", &json!({"url": url})).map(drop)
    }

    pub(crate) fn reload(&self) -> Result<()> {
        self.post("/refresh", &json!({})).map(drop)
    }

    /// Runs the body of a function in the page; its arguments are `arguments`.
    pub(crate) fn run(&self, script: &str, arguments: &[Value]) -> Result<Value> {
        self.post("/execute/sync", &json!({"script": script, "args": arguments}))
    }

    /// The same for a function that has its answer later. It calls its last argument with it.
    pub(crate) fn run_until_called(&self, script: &str, arguments: &[Value]) -> Result<Value> {
        self.post("/execute/async", &json!({"script": script, "args": arguments}))
    }

    pub(crate) fn find(&self, selector: &str) -> Result<Element> {
        let found = self.post("/element", &json!({"using": "css selector", "value": selector}))?;
        let id = found[ELEMENT].as_str().context("chromedriver found an element without an id")?;
        Ok(Element(id.to_owned()))
    }

    /// Scrolls until an element is in the middle of the window and clicks it, as a person does: what covers it there gets
    /// in the way.
    pub(crate) fn click(&self, element: &Element) -> Result<()> {
        // By itself the driver scrolls only to what is outside of the window, and not from under what stays at its foot.
        self.run("arguments[0].scrollIntoView({block: 'center'});", &[json!({ELEMENT: element.0})])?;
        self.post(&format!("/element/{}/click", element.0), &json!({})).map(drop)
    }

    /// Types into an element. A path typed into a file input chooses the file.
    pub(crate) fn type_into(&self, element: &Element, text: &str) -> Result<()> {
        self.post(&format!("/element/{}/value", element.0), &json!({"text": text})).map(drop)
    }

    /// Presses keys one after the other, wherever the focus is.
    pub(crate) fn press(&self, keys: &str) -> Result<()> {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| {
                [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]
            })
            .collect();
        self.post("/actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]}))
            .map(drop)
    }

    /// What is seen of the page now, as a PNG.
    pub(crate) fn screenshot(&self) -> Result<Vec<u8>> {
        let shot = self.command("GET", "/screenshot", &Value::Null)?;
        let text = shot.as_str().context("chromedriver answered without a picture")?;
        BASE64.decode(text.as_bytes()).context("the picture is not base64")
    }

    /// The page's elements as they are now.
    pub(crate) fn source(&self) -> Result<String> {
        let source = self.command("GET", "/source", &Value::Null)?;
        Ok(source.as_str().unwrap_or_default().to_owned())
    }

    /// What came on the console since it was last asked for.
    pub(crate) fn console(&self) -> Result<Vec<ConsoleLine>> {
        let lines = self.post("/se/log", &json!({"type": "browser"}))?;
        let line = |line: &Value| ConsoleLine {
            level: line["level"].as_str().unwrap_or_default().to_owned(),
            text: line["message"].as_str().unwrap_or_default().to_owned(),
        };
        Ok(lines.as_array().map(|lines| lines.iter().map(line).collect()).unwrap_or_default())
    }

    /// A command of Chromium's own protocol, for what WebDriver has no word for.
    pub(crate) fn devtools(&self, method: &str, parameters: &Value) -> Result<Value> {
        self.post("/goog/cdp/execute", &json!({"cmd": method, "params": parameters}))
            .with_context(|| method.to_owned())
    }

    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.command("POST", path, body)
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        command(self.driver, method, &format!("/session/{}{path}", self.id), body)
    }
}

fn command(driver: SocketAddr, method: &str, path: &str, body: &Value) -> Result<Value> {
    let body = if body.is_null() { Vec::new() } else { serde_json::to_vec(body)? };
    let request = Request { method, path, token: None, body: &body };
    let response = http::ask(driver, &request, ANSWER_LIMIT).context("chromedriver does not answer")?;
    judged(response.status, response.json()?)
}

/// The value of an answer, or the refusal in it.
fn judged(status: u16, mut answer: Value) -> Result<Value> {
    let value = answer["value"].take();
    if status == 200 {
        return Ok(value);
    }
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    match text("error") {
        Some(error) => Err(Refusal { error, message: text("message").unwrap_or_default() }.into()),
        None => bail!("chromedriver answered {status}: {value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_value() -> Result<()> {
        assert_eq!(judged(200, json!({"value": {"a": 1}}))?, json!({"a": 1}));
        assert_eq!(judged(200, json!({"value": null}))?, Value::Null);
        Ok(())
    }

    #[test]
    fn a_refusal_tells_whether_it_may_pass() {
        let refused = |error: &str| {
            let answer =
                json!({"value": {"error": error, "message": "m\n  (Session info: x)", "stacktrace": "#0"}});
            let error = judged(404, answer).unwrap_err();
            (error.downcast_ref::<Refusal>().is_some_and(Refusal::may_pass), error.to_string())
        };
        assert_eq!(refused("no such element"), (true, "no such element: m".into()));
        assert_eq!(refused("invalid session id"), (false, "invalid session id: m".into()));
        assert!(judged(500, json!({"value": 1})).unwrap_err().downcast_ref::<Refusal>().is_none());
    }
}
