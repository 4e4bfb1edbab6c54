//! E-mail through an SMTP relay, where one is set.

use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};
use crate::store::Mail;

const DEFAULT_PORT: u16 = 25;

/// A relay and who writes.
pub struct Relay {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
}

impl Relay {
    /// `smtp://[user:password@]host[:port]`.
    pub fn new(url: &str, from: &str) -> Result<Self> {
        let wrong = |reason: String| Error::Internal(format!("smtp_relay: {reason}"));
        let uri: http::Uri = url.parse().map_err(|_| wrong(format!("{url:?} is no URL")))?;
        if uri.scheme_str() != Some("smtp") {
            return Err(wrong(format!("{url:?} does not begin with smtp://")));
        }
        let host = uri.host().unwrap_or_default();
        let mut builder =
            AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(uri.port_u16().unwrap_or(DEFAULT_PORT));
        let credentials = uri.authority().and_then(|authority| authority.as_str().rsplit_once('@'));
        if let Some((user, password)) = credentials.and_then(|(credentials, _)| credentials.split_once(':')) {
            let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            builder = builder.credentials(Credentials::new(plain(user), plain(password)));
        }
        let from = from.parse().map_err(|error| Error::Internal(format!("email_from: {error}")))?;
        Ok(Relay { transport: builder.build(), from })
    }

    /// Sends a mail; the reason why it was not taken, and whether it is worth another try.
    pub async fn send(&self, mail: &Mail, sent_at: std::time::SystemTime) -> Result<(), (String, bool)> {
        let message = self.message(mail, sent_at).map_err(|reason| (reason, false))?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err((error.to_string(), !error.is_permanent())),
        }
    }

    fn message(&self, mail: &Mail, sent_at: std::time::SystemTime) -> Result<Message, String> {
        let to: Address = mail.to.parse().map_err(|error: lettre::address::AddressError| error.to_string())?;
        let content_type = if mail.is_json { "application/json; charset=UTF-8" } else { "text/plain; charset=UTF-8" };
        let content_type = ContentType::parse(content_type).map_err(|error| error.to_string())?;
        let message = Message::builder()
            .from(Mailbox::new(Some(mail.sender_name.clone()), self.from.clone()))
            .to(Mailbox::new(None, to))
            .subject(mail.subject.clone())
            .message_id(Some(format!("<{}@{}>", mail.message_id, self.from.domain())))
            .date(sent_at)
            .header(content_type)
            .body(mail.body.clone());
        message.map_err(|error| error.to_string())
    }
}
