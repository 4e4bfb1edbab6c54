//! What each service answers for itself, told for all of them at once: of those that run, or of the one that `?service=`
//! names, which is started for it.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::control::query_value;
use super::{bad_request, fan};
use crate::answer;
use crate::proxy::body::RouterBody;
use crate::proxy::targets::TargetKind;
use crate::route::tables;
use crate::router::Router;

/// Settings, operations, background tasks, what the store holds: by service, each as it says it.
pub async fn told(router: &Arc<Router>, parts: &Parts) -> Response<RouterBody> {
    let only = query_value(parts, "service");
    let answers = match ask(router, parts, only).await {
        Ok(answers) => answers,
        Err(refusal) => return *refusal,
    };
    let failed = answers.iter().find(|answer| !answer.status.is_success());
    let status = match (failed, only) {
        (None, _) => StatusCode::OK,
        (Some(answer), Some(_)) => answer.status,
        (Some(_), None) => StatusCode::BAD_GATEWAY,
    };
    let mut services = Map::new();
    for answer in answers {
        // Replicas of a service say the same.
        services.entry(answer.service).or_insert(answer.value);
    }
    answer::json(status, &json!({ "services": services }))
}

/// The records of one service's store.
pub async fn records(router: &Arc<Router>, parts: &Parts) -> Response<RouterBody> {
    match query_value(parts, "service") {
        Some(_) => told(router, parts).await,
        None => bad_request("records are of one service's: ?service=NAME&collection=NAME"),
    }
}

/// The numbers of all services as one page that Prometheus reads.
pub async fn metrics(router: &Arc<Router>, parts: &Parts) -> Response<RouterBody> {
    let answers = match ask(router, parts, query_value(parts, "service")).await {
        Ok(answers) => answers,
        Err(refusal) => return *refusal,
    };
    let texts = answers.into_iter().filter(|answer| answer.status.is_success()).filter_map(|answer| {
        let Value::String(page) = answer.value else { return None };
        Some((answer.service, page))
    });
    let page = one_page(&texts.collect::<Vec<_>>());
    answer::text(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page)
}

/// Lanes as wholes: `fork`, `snapshot`, `rollback`. A service that is idle and has nothing kept has nothing of a lane to be
/// forked; but a snapshot has to be there to go back to, and so it starts all of them.
pub async fn lanes(router: &Arc<Router>, path: &str, body: Bytes) -> Response<RouterBody> {
    if path.ends_with("/snapshot") {
        for (service, _) in router.targets.launched() {
            if router.targets.get(&service).kind == TargetKind::Auto
                && let Err(error) = router.targets.started(&service).await
            {
                return answer::json(StatusCode::BAD_GATEWAY, &json!({ "message": format!("{service}: {error}") }));
            }
        }
    } else {
        router.targets.start_those_with_state(None).await;
    }
    let answers = fan::ask_all(router, &Method::POST, path, &body).await;
    let done: Vec<String> = answers.iter().map(|answer| answer.service.clone()).collect();
    let failed: Vec<_> = answers.into_iter().filter(|answer| !answer.status.is_success()).collect();
    let Some(first) = failed.first() else { return answer::json(StatusCode::OK, &json!({ "services": done })) };
    let status = first.status;
    let services: Map<String, Value> = failed.into_iter().map(|answer| (answer.service, answer.value)).collect();
    answer::json(status, &json!({ "message": "some services could not", "services": services }))
}

async fn ask(
    router: &Arc<Router>,
    parts: &Parts,
    only: Option<&str>,
) -> Result<Vec<fan::Answered>, Box<Response<RouterBody>>> {
    if let Some(service) = only {
        if tables::known_service(service).is_none() {
            return Err(Box::new(bad_request(&format!("there is no service {service:?}"))));
        }
        if let Err(error) = router.targets.started(service).await {
            let told = json!({ "message": format!("{service}: {error}") });
            return Err(Box::new(answer::json(StatusCode::SERVICE_UNAVAILABLE, &told)));
        }
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    Ok(fan::ask(router, &Method::GET, path, &Bytes::new(), |service| only.is_none_or(|only| only == service)).await)
}

/// The families of a page, each with what it says of itself and then all of its numbers, as the text format demands. Numbers
/// of several replicas of a service are told apart.
fn one_page(pages: &[(String, String)]) -> String {
    struct Family<'a> {
        name: &'a str,
        comments: Vec<&'a str>,
        samples: Vec<String>,
    }
    let mut families: Vec<Family<'_>> = Vec::new();
    for (index, (service, page)) in pages.iter().enumerate() {
        let earlier = pages[..index].iter().filter(|(other, _)| other == service).count();
        let is_one_of_many = pages.iter().filter(|(other, _)| other == service).count() > 1;
        let mut here = 0;
        for line in page.lines().filter(|line| !line.is_empty()) {
            if let Some(comment) = line.strip_prefix("# ") {
                let name = comment.split(' ').nth(1).unwrap_or_default();
                here = families.iter().position(|family| family.name == name).unwrap_or_else(|| {
                    families.push(Family { name, comments: Vec::new(), samples: Vec::new() });
                    families.len() - 1
                });
                if !families[here].comments.contains(&line) {
                    families[here].comments.push(line);
                }
            } else if let Some(family) = families.get_mut(here) {
                let own = format!("{{replica=\"{earlier}\",");
                family.samples.push(if is_one_of_many { line.replacen('{', &own, 1) } else { line.to_owned() });
            }
        }
    }
    let lines = families
        .iter()
        .flat_map(|family| family.comments.iter().map(|line| (*line).to_owned()).chain(family.samples.iter().cloned()));
    lines.map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_stands_once_with_all_its_numbers() {
        let page = |service: &str| {
            format!(
                "# HELP up Whether.\n# TYPE up gauge\nup{{service=\"{service}\"}} 1\n# HELP n Count.\n# TYPE n counter\n\
                 n{{service=\"{service}\"}} 2\n"
            )
        };
        let pages = ["s3", "sqs", "sqs"].map(|service| (service.to_owned(), page(service)));
        assert_eq!(
            one_page(&pages),
            "# HELP up Whether.\n# TYPE up gauge\nup{service=\"s3\"} 1\nup{replica=\"0\",service=\"sqs\"} 1\n\
             up{replica=\"1\",service=\"sqs\"} 1\n# HELP n Count.\n# TYPE n counter\nn{service=\"s3\"} 2\n\
             n{replica=\"0\",service=\"sqs\"} 2\nn{replica=\"1\",service=\"sqs\"} 2\n"
        );
        assert_eq!(one_page(&[]), "");
    }
}
