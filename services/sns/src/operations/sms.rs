//! SMS: settings, opt-outs, and messages to numbers, which go into the ledger.

use fractus_host::Context;
use fractus_sns_api as api;
use fractus_store::{Order, Range, Scope, Transaction};

use crate::error::{Error, Result};
use crate::ledger;
use crate::model::message::{self, Parts};
use crate::model::{names, sms as rules};
use crate::operations::page;
use crate::publishing::Published;
use crate::sending::{Sending, sent_by_topic, text_attributes};
use crate::service::Sns;
use crate::store::{Attributes, ONLY, OPTED_OUT, OptedOut, SANDBOX, SMS_SETTINGS, Sent, Subscription};

/// The page of ListOriginationNumbers, where none is asked for.
const ORIGINATION_PAGE: usize = 30;

fn scope(cx: &Context) -> Scope {
    Scope::regional(&cx.world, &cx.region)
}

fn number(text: &str) -> Result<String> {
    if names::is_phone_number(text) {
        Ok(names::plain_number(text))
    } else {
        Err(Error::invalid_because("PhoneNumber", format!("{text} is not valid to publish to")))
    }
}

fn number_of_list(text: &str) -> Result<String> {
    if names::is_phone_number(text) {
        Ok(names::plain_number(text))
    } else {
        Err(Error::invalid_because("phoneNumber", "input incorrectly formatted"))
    }
}

pub async fn set_attributes(
    sns: &Sns,
    cx: &Context,
    input: api::SetSMSAttributesInput,
) -> Result<api::SetSMSAttributesOutput> {
    let given: Attributes = input.attributes.into_iter().collect();
    rules::check_settings(&given)?;
    let scope = scope(cx);
    sns.store
        .write(|tx| {
            let mut settings = tx.get(&SMS_SETTINGS, &scope, &(ONLY,))?.unwrap_or_default();
            settings.attributes.extend(given.clone());
            settings.attributes.retain(|_, value| !value.is_empty());
            Ok::<_, Error>(tx.put(&SMS_SETTINGS, &scope, &(ONLY,), &settings)?)
        })
        .await?;
    Ok(api::SetSMSAttributesOutput::default())
}

pub async fn attributes(
    sns: &Sns,
    cx: &Context,
    input: api::GetSMSAttributesInput,
) -> Result<api::GetSMSAttributesOutput> {
    let scope = scope(cx);
    let settings = sns.store.read(|snapshot| Ok::<_, Error>(snapshot.get(&SMS_SETTINGS, &scope, &(ONLY,))?)).await?;
    let mut shown = settings.unwrap_or_default().attributes;
    shown.entry("MonthlySpendLimit".to_owned()).or_insert_with(|| "1".to_owned());
    let wanted = input.attributes.unwrap_or_default();
    let attributes = shown.into_iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name));
    Ok(api::GetSMSAttributesOutput { attributes: Some(attributes.collect()) })
}

pub async fn is_opted_out(
    sns: &Sns,
    cx: &Context,
    input: api::CheckIfPhoneNumberIsOptedOutInput,
) -> Result<api::CheckIfPhoneNumberIsOptedOutOutput> {
    let number = number_of_list(&input.phone_number)?;
    let scope = scope(cx);
    let found =
        sns.store.read(|snapshot| Ok::<_, Error>(snapshot.contains(&OPTED_OUT, &scope, &(number.as_str(),))?)).await?;
    Ok(api::CheckIfPhoneNumberIsOptedOutOutput { is_opted_out: Some(found) })
}

pub async fn list_opted_out(
    sns: &Sns,
    cx: &Context,
    input: api::ListPhoneNumbersOptedOutInput,
) -> Result<api::ListPhoneNumbersOptedOutOutput> {
    let after: Option<(String,)> = page::after(input.next_token.as_deref())?;
    let scope = scope(cx);
    let mut numbers: Vec<String> = sns
        .store
        .read(|snapshot| {
            let range = after.iter().fold(Range::all(), |range, after| range.after(&(after.0.as_str(),)));
            let keys = snapshot.keys(&OPTED_OUT, &scope, range, Order::Ascending)?;
            keys.take(page::SIZE + 1).map(|key| Ok(key?.0)).collect::<Result<_>>()
        })
        .await?;
    let next_token = page::cut(&mut numbers, page::SIZE, |number| (number.clone(),));
    Ok(api::ListPhoneNumbersOptedOutOutput { phone_numbers: Some(numbers), next_token })
}

pub async fn opt_in(sns: &Sns, cx: &Context, input: api::OptInPhoneNumberInput) -> Result<api::OptInPhoneNumberOutput> {
    let number = number_of_list(&input.phone_number)?;
    let scope = scope(cx);
    sns.store.write(|tx| Ok::<_, Error>(tx.delete(&OPTED_OUT, &scope, &(number.as_str(),))?)).await?;
    Ok(api::OptInPhoneNumberOutput::default())
}

/// The account's own numbers, as the settings have them.
fn origination(sns: &Sns) -> Vec<&str> {
    sns.config.origination_numbers.split(',').map(str::trim).filter(|number| !number.is_empty()).collect()
}

/// The numbers of the settings. On AWS they are bought elsewhere.
pub async fn origination_numbers(
    sns: &Sns,
    _: &Context,
    input: api::ListOriginationNumbersInput,
) -> Result<api::ListOriginationNumbersOutput> {
    let after: Option<(String,)> = page::after(input.next_token.as_deref())?;
    let mut numbers = origination(sns);
    numbers.retain(|number| after.as_ref().is_none_or(|after| *number > after.0.as_str()));
    numbers.sort_unstable();
    numbers.dedup();
    let size = input.max_results.and_then(|size| usize::try_from(size).ok()).unwrap_or(ORIGINATION_PAGE);
    let next_token = page::cut(&mut numbers, size, |number| ((*number).to_owned(),));
    let phone_numbers = numbers.into_iter().map(|number| api::PhoneNumberInformation {
        created_at: None,
        phone_number: Some(number.to_owned()),
        status: Some("ACTIVE".to_owned()),
        iso2_country_code: number.starts_with("+1").then(|| "US".to_owned()),
        route_type: Some(api::RouteType::Transactional),
        number_capabilities: Some(vec![api::NumberCapability::Sms]),
    });
    Ok(api::ListOriginationNumbersOutput { next_token, phone_numbers: Some(phone_numbers.collect()) })
}

/// Publish to one number: into the ledger, where the account may send to it.
pub async fn publish(sns: &Sns, cx: &Context, to: &str, parts: Parts) -> Result<Published> {
    let number = number(to)?;
    let (message, _) = message::checked(parts)?;
    rules::check_message(&message)?;
    rules::check_origination(&message, &origination(sns))?;
    let sent = Sent {
        protocol: "sms".to_owned(),
        endpoint: number.clone(),
        message_id: cx.random().uuid(),
        topic_arn: None,
        subject: None,
        message: message.text_for("sms").to_owned(),
        attributes: text_attributes(&message),
        sent_at: cx.now(),
    };
    let scope = scope(cx);
    sns.store
        .write(|tx| {
            if tx.contains(&OPTED_OUT, &scope, &(number.as_str(),))? {
                return Err(Error::invalid_because("PhoneNumber", format!("{number} is opted out")));
            }
            deliver(sns, tx, &scope, &cx.world, &cx.region, &sent)
        })
        .await?;
    Ok(Published { message_id: sent.message_id, sequence_number: None })
}

/// A topic's message to a subscribed number; one that has opted out gets nothing.
pub fn send(sns: &Sns, tx: &mut Transaction<'_>, sending: &Sending<'_>, to: &Subscription) -> Result<()> {
    let world = sending.place.world.with_account(to.owner.clone());
    let region = &sending.place.region;
    let scope = Scope::regional(&world, region);
    if tx.contains(&OPTED_OUT, &scope, &(to.endpoint.as_str(),))? {
        return Ok(());
    }
    let sent = sent_by_topic(sending, to, &to.endpoint, sending.message.text_for("sms"));
    deliver(sns, tx, &scope, &world, region, &sent)
}

/// What is sent is in the ledger; what the sandbox or the spend limit holds back is not.
fn deliver(
    sns: &Sns,
    tx: &mut Transaction<'_>,
    scope: &Scope,
    world: &fractus_aws::World,
    region: &fractus_aws::Region,
    sent: &Sent,
) -> Result<()> {
    if sns.config.sms_sandbox {
        let number = tx.get(&SANDBOX, scope, &(sent.endpoint.as_str(),))?;
        if !number.is_some_and(|number| number.verified) {
            tracing::warn!(
                number = sent.endpoint,
                "not sent: the account is in the SMS sandbox, and the number is not verified"
            );
            return Ok(());
        }
    }
    let mut settings = tx.get(&SMS_SETTINGS, scope, &(ONLY,))?.unwrap_or_default();
    let affordable = rules::spend(&mut settings, &sent.message, sent.sent_at);
    tx.put(&SMS_SETTINGS, scope, &(ONLY,), &settings)?;
    if !affordable {
        tracing::warn!(number = sent.endpoint, "not sent: the account's monthly spend limit for SMS is reached");
        return Ok(());
    }
    ledger::put(tx, world, region, sent)
}

/// Someone has answered an SMS: STOP and the like end what is sent to the number.
/// <https://docs.aws.amazon.com/sns/latest/dg/sms_manage.html#sms_manage_optout>
pub async fn answered(sns: &Sns, cx: &Context, from: &str, text: &str) -> Result<bool> {
    const WORDS: [&str; 10] =
        ["ARRET", "CANCEL", "END", "OPT-OUT", "OPTOUT", "QUIT", "REMOVE", "STOP", "TD", "UNSUBSCRIBE"];
    let number = number_of_list(from)?;
    if !WORDS.iter().any(|word| word.eq_ignore_ascii_case(text.trim())) {
        return Ok(false);
    }
    let (scope, at) = (scope(cx), OptedOut { at: cx.now() });
    sns.store.write(|tx| Ok::<_, Error>(tx.put(&OPTED_OUT, &scope, &(number.as_str(),), &at)?)).await?;
    Ok(true)
}
