//! SNS's settings.

fractus_host::settings! {
    /// The settings of SNS.
    pub struct Config {
        /// An SMTP server, `smtp://[user:password@]host[:port]`, that e-mail is sent through. Without one, e-mail is only
        /// kept in the ledger of sent messages.
        pub smtp_relay: Option<String> = None,
        /// The address that e-mail comes from.
        pub email_from: String = "no-reply@sns.amazonaws.com".to_owned(),
        /// What SigningCertURL begins with, where receivers must see another origin than the one through which their
        /// subscription was made: `https://sns.us-east-1.amazonaws.com`.
        pub signing_cert_url: Option<String> = None,
        /// A file of PEM certificates that HTTPS endpoints may be signed by, besides the public authorities.
        pub trusted_certificates: Option<String> = None,
        /// The numbers that ListOriginationNumbers tells of, in E.164 form, separated by commas. On AWS they are bought
        /// elsewhere.
        pub origination_numbers: String = String::new(),
        /// Whether accounts are in the SMS sandbox, as new ones are on AWS: then SMS goes only to verified numbers.
        pub sms_sandbox: bool = false,
        /// The standard topics that an account may have in a region.
        pub topic_quota: u64 = 100_000,
        /// The FIFO topics that an account may have in a region.
        pub fifo_topic_quota: u64 = 1_000,
        /// The subscriptions that a standard topic may have.
        pub subscription_quota: u64 = 12_500_000,
        /// The subscriptions that a FIFO topic may have.
        pub fifo_subscription_quota: u64 = 100,
        /// The subscriptions with filter policies that a topic may have.
        pub filter_policies_per_topic: u64 = 200,
        /// The subscriptions with filter policies that an account's topics may have in a region.
        pub filter_policies: u64 = 10_000,
    }
}
