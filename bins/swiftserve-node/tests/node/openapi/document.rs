//! The document of a node, and what was asked of it.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    client::{Answer, Client, answered},
    site::Site,
};

/// What a path may be asked.
const METHODS: [&str; 6] = ["get", "head", "put", "post", "patch", "delete"];

/// A document that is compared with what its node answers.
pub(super) struct Api {
    document: Value,
    client: Client,
    asked: BTreeSet<String>,
}

impl Api {
    pub(super) async fn of(site: &Site) -> Self {
        let document = site.client.anonymous().get("/openapi.json").await.is(200).json();
        Self { document, client: site.client.clone(), asked: BTreeSet::new() }
    }

    /// Every operation that takes a body of JSON.
    pub(super) fn that_take_json(&self) -> Vec<(Method, String)> {
        let paths = self.document["paths"].as_object().unwrap().iter();
        paths
            .flat_map(|(path, operations)| {
                let takes = |method: &&str| {
                    !operations[method]["requestBody"]["content"]["application/json"].is_null()
                };
                let methods = METHODS.iter().copied().filter(takes);
                methods
                    .map(|method| (method.to_uppercase().parse().unwrap(), path.clone()))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// Asks as the operator, and compares.
    pub(super) async fn get(&mut self, path: &str, target: &str, status: u16) -> Answer {
        let request = self.client.request(Method::GET, target);
        self.ask(path, request, status).await
    }

    /// Sends JSON as the operator, which must be what the document says is taken, and compares.
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: &str,
        target: &str,
        body: &Value,
        status: u16,
    ) -> Answer {
        // What is refused may be refused for what it is.
        if status != 400 {
            self.takes(&method.as_str().to_lowercase(), path, body);
        }
        let request = self.client.request(method, target).json(body);
        self.ask(path, request, status).await
    }

    /// Sends a request for an operation, and compares.
    pub(super) async fn ask(&mut self, path: &str, request: RequestBuilder, status: u16) -> Answer {
        let method = request.try_clone().unwrap().build().unwrap().method().as_str().to_lowercase();
        let answer = answered(request).await;
        self.check(&method, path, &answer, status);
        answer
    }

    /// Compares an answer with what the document says of it.
    #[track_caller]
    pub(super) fn check(&mut self, method: &str, path: &str, answer: &Answer, status: u16) {
        let which = format!("{method} {path}: {status}");
        assert_eq!(answer.status, status, "{which}: {}", String::from_utf8_lossy(&answer.body));
        let said = &self.operation(method, path)["responses"][status.to_string()];
        assert!(said.is_object(), "{which} is not in the document");
        let Some(content) = said["content"].as_object() else {
            assert!(answer.body.is_empty(), "{which} has a body");
            self.asked.insert(format!("{method} {path}"));
            return;
        };
        let kind = answer.header("content-type").split(';').next().unwrap_or_default();
        let said = content.iter().find(|(said, _)| {
            *said == kind
                || *said == "application/octet-stream" && !answer.header("content-disposition").is_empty()
        });
        let Some((_, said)) = said else { panic!("{which}: {kind:?} is not in the document") };
        if kind.ends_with("json") {
            self.fits(&which, &said["schema"], &answer.json());
        }
        self.asked.insert(format!("{method} {path}"));
    }

    /// Fails unless a body is one that an operation takes.
    #[track_caller]
    pub(super) fn takes(&self, method: &str, path: &str, body: &Value) {
        let said = &self.operation(method, path)["requestBody"]["content"]["application/json"]["schema"];
        assert!(said.is_object(), "{method} {path} takes no JSON");
        self.fits(&format!("the body of {method} {path}"), said, body);
    }

    #[track_caller]
    fn operation(&self, method: &str, path: &str) -> &Value {
        let operation = &self.document["paths"][path][method];
        assert!(operation.is_object(), "{method} {path} is not in the document");
        operation
    }

    #[track_caller]
    fn fits(&self, which: &str, shape: &Value, value: &Value) {
        let shape = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [shape], "components": self.document["components"],
        });
        let shape = jsonschema::validator_for(&shape).unwrap();
        let wrong: Vec<String> = shape.iter_errors(value).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{which}: {wrong:#?} in {value:#}");
    }

    /// Operations that nobody asked for.
    pub(super) fn left(&self) -> Vec<String> {
        let paths = self.document["paths"].as_object().unwrap();
        let all = paths.iter().flat_map(|(path, operations)| {
            let operations = operations.as_object().unwrap().keys();
            operations.map(move |method| format!("{method} {path}"))
        });
        all.filter(|operation| !self.asked.contains(operation)).collect()
    }
}

/// All values at any depth, each with where it stands.
fn walk<'v>(value: &'v Value, at: &str, see: &mut impl FnMut(&str, &'v Value)) {
    see(at, value);
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| walk(value, &format!("{at}/{name}"), see));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, value)| walk(value, &format!("{at}/{index}"), see));
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_one_of_openapi_3_1_in_which_nothing_leads_nowhere() {
    let site = Site::found().await;
    let document = site.client.anonymous().get("/openapi.json").await.is(200).json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."));
    assert!(document["info"]["title"].is_string() && document["info"]["version"].is_string());
    let mut ids = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        assert!(path.starts_with('/') && !path.contains('*'), "{path}");
        let in_path: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        for (method, operation) in operations.as_object().unwrap() {
            assert!(METHODS.contains(&method.as_str()), "{method} {path}");
            assert!(
                ids.insert(operation["operationId"].as_str().unwrap()),
                "two have the id of {method} {path}"
            );
            let parameters = operation["parameters"].as_array().unwrap();
            let named = parameters.iter().filter(|parameter| parameter["in"] == "path");
            let named: BTreeSet<&str> = named.map(|parameter| parameter["name"].as_str().unwrap()).collect();
            assert_eq!(named, in_path, "{method} {path}");
            for parameter in parameters {
                assert!(["path", "query", "header"].contains(&parameter["in"].as_str().unwrap()));
                assert!(
                    parameter["schema"].is_object() && parameter["in"] != "path"
                        || parameter["required"] == true
                );
            }
            for (status, answer) in operation["responses"].as_object().unwrap() {
                assert!(status == "default" || (100..600).contains(&status.parse::<u16>().unwrap()));
                assert!(answer["description"].is_string(), "{method} {path} {status}");
            }
            for scheme in operation["security"].as_array().unwrap() {
                let name = scheme.as_object().unwrap().keys().next().unwrap();
                assert!(document["components"]["securitySchemes"][name].is_object(), "{name}");
            }
        }
    }
    let mut used = BTreeSet::new();
    walk(&document, "", &mut |at, value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            let target = document.pointer(reference.strip_prefix('#').unwrap());
            assert!(target.is_some_and(Value::is_object), "{at}: {reference} leads nowhere");
            used.insert(reference.rsplit('/').next().unwrap());
        }
        // Every shape is one of JSON Schema.
        if at.ends_with("/schema") {
            jsonschema::draft202012::meta::validate(value).unwrap_or_else(|error| panic!("{at}: {error}"));
        }
    });
    for (name, shape) in document["components"]["schemas"].as_object().unwrap() {
        jsonschema::draft202012::meta::validate(shape).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(used.contains(name.as_str()), "nothing uses {name}");
    }
}
