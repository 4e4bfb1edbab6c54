//! The SMS sandbox: numbers that an account may send to, once a code that was sent there has been told.
//!
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-sms-sandbox.html>

use std::time::Duration;

use fractus_host::Context;
use fractus_sns_api as api;
use fractus_store::{Order, Range, Scope};

use crate::error::{Error, Result};
use crate::ledger;
use crate::operations::page;
use crate::service::Sns;
use crate::store::{OPTED_OUT, SANDBOX, SandboxNumber, Sent};

const MAX_NUMBERS: usize = 10;
const CODE_HOLDS: Duration = Duration::from_secs(86_400);
const DAY: Duration = Duration::from_secs(86_400);
const MAX_CODES_A_DAY: u32 = 5;
const CODE_DIGITS: usize = 6;

fn scope(cx: &Context) -> Scope {
    Scope::regional(&cx.world, &cx.region)
}

pub async fn status(
    sns: &Sns,
    _: &Context,
    _: api::GetSMSSandboxAccountStatusInput,
) -> Result<api::GetSMSSandboxAccountStatusOutput> {
    Ok(api::GetSMSSandboxAccountStatusOutput { is_in_sandbox: sns.config.sms_sandbox })
}

/// Sends a code to a number; a number that waits for its code gets another.
pub async fn create(
    sns: &Sns,
    cx: &Context,
    input: api::CreateSMSSandboxPhoneNumberInput,
) -> Result<api::CreateSMSSandboxPhoneNumberOutput> {
    let number = input.phone_number;
    let (scope, now) = (scope(cx), cx.now());
    let code = cx.random().text(CODE_DIGITS, "0123456789");
    let sent = Sent {
        protocol: "sms".to_owned(),
        endpoint: number.clone(),
        message_id: cx.random().uuid(),
        topic_arn: None,
        subject: None,
        message: format!("Your verification code is {code}."),
        attributes: Default::default(),
        sent_at: now,
    };
    sns.store
        .write(|tx| {
            if tx.contains(&OPTED_OUT, &scope, &(number.as_str(),))? {
                return Err(Error::OptedOut);
            }
            let known = tx.get(&SANDBOX, &scope, &(number.as_str(),))?;
            if known.as_ref().is_some_and(|known| known.verified) {
                return Err(Error::UserError("The phone number is already verified".to_owned()));
            }
            let count = tx.keys(&SANDBOX, &scope, Range::all(), Order::Ascending)?.take(MAX_NUMBERS).count();
            if known.is_none() && count >= MAX_NUMBERS {
                return Err(Error::UserError(format!(
                    "An account can have {MAX_NUMBERS} destination phone numbers in the sandbox"
                )));
            }
            let today = known.filter(|known| now.since(known.first_code_at) < DAY);
            let (codes_sent, first_code_at) = today.map_or((0, now), |known| (known.codes_sent, known.first_code_at));
            if codes_sent >= MAX_CODES_A_DAY {
                return Err(Error::UserError(
                    "Too many verification codes were sent to this number within 24 hours".to_owned(),
                ));
            }
            let record = SandboxNumber {
                verified: false,
                code: code.clone(),
                code_expires_at: now.plus(CODE_HOLDS),
                codes_sent: codes_sent + 1,
                first_code_at,
            };
            tx.put(&SANDBOX, &scope, &(number.as_str(),), &record)?;
            ledger::put(tx, &cx.world, &cx.region, &sent)
        })
        .await?;
    Ok(api::CreateSMSSandboxPhoneNumberOutput::default())
}

pub async fn verify(
    sns: &Sns,
    cx: &Context,
    input: api::VerifySMSSandboxPhoneNumberInput,
) -> Result<api::VerifySMSSandboxPhoneNumberOutput> {
    let (scope, now) = (scope(cx), cx.now());
    let key = (input.phone_number.as_str(),);
    sns.store
        .write(|tx| {
            let mut record = tx.get(&SANDBOX, &scope, &key)?.ok_or(Error::ResourceNotFound)?;
            let wrong = |message: &str, status: &str| Error::Verification {
                message: message.to_owned(),
                status: status.to_owned(),
            };
            if record.verified {
                return Ok(());
            }
            if now >= record.code_expires_at {
                return Err(wrong("The verification code has expired", "EXPIRED"));
            }
            if record.code != input.one_time_password {
                return Err(wrong("The verification code is not right", "INVALID"));
            }
            record.verified = true;
            Ok(tx.put(&SANDBOX, &scope, &key, &record)?)
        })
        .await?;
    Ok(api::VerifySMSSandboxPhoneNumberOutput::default())
}

pub async fn delete(
    sns: &Sns,
    cx: &Context,
    input: api::DeleteSMSSandboxPhoneNumberInput,
) -> Result<api::DeleteSMSSandboxPhoneNumberOutput> {
    let (scope, now) = (scope(cx), cx.now());
    let key = (input.phone_number.as_str(),);
    sns.store
        .write(|tx| {
            let record = tx.get(&SANDBOX, &scope, &key)?.ok_or(Error::ResourceNotFound)?;
            if record.verified && now.since(record.first_code_at) < DAY {
                return Err(Error::UserError(
                    "A verified phone number can be deleted 24 hours after it was added".to_owned(),
                ));
            }
            Ok(tx.delete(&SANDBOX, &scope, &key)?)
        })
        .await?;
    Ok(api::DeleteSMSSandboxPhoneNumberOutput::default())
}

pub async fn list(
    sns: &Sns,
    cx: &Context,
    input: api::ListSMSSandboxPhoneNumbersInput,
) -> Result<api::ListSMSSandboxPhoneNumbersOutput> {
    let after: Option<(String,)> = page::after(input.next_token.as_deref())?;
    let size = input.max_results.and_then(|size| usize::try_from(size).ok()).unwrap_or(page::SIZE);
    let scope = scope(cx);
    let mut found: Vec<(String, SandboxNumber)> = sns
        .store
        .read(|snapshot| {
            let range = after.iter().fold(Range::all(), |range, after| range.after(&(after.0.as_str(),)));
            let entries = snapshot.range(&SANDBOX, &scope, range, Order::Ascending)?.take(size + 1);
            entries
                .map(|entry| entry.map(|((number,), record)| (number, record)).map_err(Error::from))
                .collect::<Result<_>>()
        })
        .await?;
    let next_token = page::cut(&mut found, size, |(number, _)| (number.clone(),));
    let phone_numbers = found.into_iter().map(|(number, record)| {
        use api::SMSSandboxPhoneNumberVerificationStatus as Status;
        api::SMSSandboxPhoneNumber {
            phone_number: Some(number),
            status: Some(if record.verified { Status::Verified } else { Status::Pending }),
        }
    });
    Ok(api::ListSMSSandboxPhoneNumbersOutput { phone_numbers: phone_numbers.collect(), next_token })
}
