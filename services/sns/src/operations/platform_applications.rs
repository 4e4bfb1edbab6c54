//! Platform applications: an account's access to a push service. Nothing is pushed from here; what would be is in the
//! ledger.

use fractus_aws::Arn;
use fractus_host::Context;
use fractus_sns_api as api;
use fractus_store::{Order, Range, Scope};
use indexmap::IndexMap;

use crate::error::{Error, Result};
use crate::model::push;
use crate::operations::page;
use crate::service::Sns;
use crate::store::{APPLICATIONS, Application, Attributes, BY_DEVICE, ENDPOINTS};

pub fn missing() -> Error {
    Error::NotFound("PlatformApplication does not exist".to_owned())
}

pub fn scope(cx: &Context) -> Scope {
    Scope::regional(&cx.world, &cx.region)
}

fn arn(cx: &Context, platform: &str, name: &str) -> String {
    let resource = format!("app/{platform}/{name}");
    Arn::new(cx.world.partition, "sns", cx.region.as_str(), cx.world.account.as_str(), resource).to_string()
}

pub async fn create(
    sns: &Sns,
    cx: &Context,
    input: api::CreatePlatformApplicationInput,
) -> Result<api::CreatePlatformApplicationOutput> {
    let attributes: Attributes = input.attributes.into_iter().collect();
    push::check_application(&input.platform, &input.name, &attributes)?;
    let made = Application { platform: input.platform, name: input.name, attributes, created_at: cx.now() };
    let (scope, key) = (scope(cx), (made.platform.as_str(), made.name.as_str()));
    sns.store
        .write(|tx| match tx.get(&APPLICATIONS, &scope, &key)? {
            Some(known) if made.attributes.iter().all(|(name, value)| known.attributes.get(name) == Some(value)) => {
                Ok(())
            }
            Some(_) => Err(Error::invalid_because(
                "Attributes",
                "Platform application already exists with different attributes",
            )),
            None => Ok(tx.put(&APPLICATIONS, &scope, &key, &made)?),
        })
        .await?;
    Ok(api::CreatePlatformApplicationOutput { platform_application_arn: Some(arn(cx, &made.platform, &made.name)) })
}

/// One that is not there is deleted already. Its endpoints go with it, a part at a time.
pub async fn delete(
    sns: &Sns,
    cx: &Context,
    input: api::DeletePlatformApplicationInput,
) -> Result<api::DeletePlatformApplicationOutput> {
    const AT_ONCE: usize = 500;
    let (platform, name) = push::application_of(cx, "PlatformApplicationArn", &input.platform_application_arn)?;
    let (scope, key) = (scope(cx), (platform.as_str(), name.as_str()));
    sns.store.write(|tx| Ok::<_, Error>(tx.delete(&APPLICATIONS, &scope, &key)?)).await?;
    loop {
        let cleared = sns.store.write(|tx| {
            let devices = tx.keys(&BY_DEVICE, &scope, Range::prefix(&key), Order::Ascending)?.take(AT_ONCE);
            let devices = devices.collect::<Result<Vec<_>, _>>()?;
            for device in &devices {
                if let Some(id) = tx.take(&BY_DEVICE, &scope, device)? {
                    tx.delete(&ENDPOINTS, &scope, &(platform.as_str(), name.as_str(), id.as_str()))?;
                }
            }
            Ok::<_, Error>(devices.len())
        });
        if cleared.await? < AT_ONCE {
            break;
        }
        tokio::task::yield_now().await;
    }
    Ok(api::DeletePlatformApplicationOutput::default())
}

/// What is shown of an application.
fn shown(application: &Application) -> IndexMap<String, String> {
    let mut shown: IndexMap<String, String> = [("Enabled".to_owned(), "true".to_owned())].into_iter().collect();
    let attributes = application.attributes.iter().filter(|(name, _)| !push::SECRET.contains(&name.as_str()));
    shown.extend(attributes.map(|(name, value)| (name.clone(), value.clone())));
    shown
}

pub async fn list(
    sns: &Sns,
    cx: &Context,
    input: api::ListPlatformApplicationsInput,
) -> Result<api::ListPlatformApplicationsOutput> {
    let after: Option<(String, String)> = page::after(input.next_token.as_deref())?;
    let scope = scope(cx);
    let mut found: Vec<Application> = sns
        .store
        .read(|snapshot| {
            let range =
                after.iter().fold(Range::all(), |range, (one, other)| range.after(&(one.as_str(), other.as_str())));
            let entries = snapshot.range(&APPLICATIONS, &scope, range, Order::Ascending)?;
            entries.take(page::SIZE + 1).map(|entry| Ok(entry?.1)).collect::<Result<_>>()
        })
        .await?;
    let next_token = page::cut(&mut found, page::SIZE, |one| (one.platform.clone(), one.name.clone()));
    let applications = found.iter().map(|one| api::PlatformApplication {
        platform_application_arn: Some(arn(cx, &one.platform, &one.name)),
        attributes: Some(shown(one)),
    });
    Ok(api::ListPlatformApplicationsOutput { platform_applications: Some(applications.collect()), next_token })
}

pub async fn attributes(
    sns: &Sns,
    cx: &Context,
    input: api::GetPlatformApplicationAttributesInput,
) -> Result<api::GetPlatformApplicationAttributesOutput> {
    let (platform, name) = push::application_of(cx, "PlatformApplicationArn", &input.platform_application_arn)?;
    let scope = scope(cx);
    let found = sns
        .store
        .read(|snapshot| Ok::<_, Error>(snapshot.get(&APPLICATIONS, &scope, &(platform.as_str(), name.as_str()))?))
        .await?;
    Ok(api::GetPlatformApplicationAttributesOutput { attributes: Some(shown(&found.ok_or_else(missing)?)) })
}

pub async fn set_attributes(
    sns: &Sns,
    cx: &Context,
    input: api::SetPlatformApplicationAttributesInput,
) -> Result<api::SetPlatformApplicationAttributesOutput> {
    let (platform, name) = push::application_of(cx, "PlatformApplicationArn", &input.platform_application_arn)?;
    let given: Attributes = input.attributes.into_iter().collect();
    push::check_application_attributes(&given)?;
    let scope = scope(cx);
    sns.store
        .write(|tx| {
            let key = (platform.as_str(), name.as_str());
            let mut one = tx.get(&APPLICATIONS, &scope, &key)?.ok_or_else(missing)?;
            one.attributes.extend(given.clone());
            Ok::<_, Error>(tx.put(&APPLICATIONS, &scope, &key, &one)?)
        })
        .await?;
    Ok(api::SetPlatformApplicationAttributesOutput::default())
}
