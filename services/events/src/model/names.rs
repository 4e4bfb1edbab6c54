//! Names and ARNs: buses by name or ARN, rules, archives, and what else has one.

use fractus_aws::{AccountId, Arn, Partition, Region, World};
use fractus_host::Context;
use fractus_store::Scope;

use crate::error::{Error, Result};

pub const DEFAULT_BUS: &str = "default";

/// Where resources lie: an account in a region.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    pub world: World,
    pub region: Region,
    pub scope: Scope,
}

impl Place {
    pub fn new(world: World, region: Region) -> Self {
        let scope = Scope::regional(&world, &region);
        Place { world, region, scope }
    }

    /// The caller's own.
    pub fn of(cx: &Context) -> Self {
        Place::new(cx.world.clone(), cx.region.clone())
    }

    /// Another account or region of the same lane, as an ARN names it.
    pub fn of_arn(lane_of: &World, arn: &Arn) -> Option<Self> {
        let partition = Partition::parse(&arn.partition)?;
        let world = World { lane: lane_of.lane.clone(), partition, account: AccountId::new(&arn.account).ok()? };
        Some(Place::new(world, Region::new(&arn.region).ok()?))
    }

    pub fn arn(&self, resource: impl Into<String>) -> Arn {
        Arn::new(self.world.partition, "events", self.region.as_str(), self.world.account.as_str(), resource)
    }

    /// The key of lane-wide lists: partition, account, region, name.
    pub fn key(&self, name: &str) -> (String, String, String, String) {
        (
            self.world.partition.as_str().to_owned(),
            self.world.account.to_string(),
            self.region.to_string(),
            name.to_owned(),
        )
    }

    /// The place behind such a key.
    pub fn of_key(lane: &fractus_aws::Lane, key: &(String, String, String, String)) -> Option<Self> {
        let world =
            World { lane: lane.clone(), partition: Partition::parse(&key.0)?, account: AccountId::new(&key.1).ok()? };
        Some(Place::new(world, Region::new(&key.2).ok()?))
    }
}

/// An event bus as somebody addressed it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BusRef {
    pub place: Place,
    pub name: String,
}

impl BusRef {
    /// By name or ARN; the default bus where neither is given.
    pub fn of(cx: &Context, name_or_arn: Option<&str>) -> Result<Self> {
        Self::in_place(&Place::of(cx), name_or_arn)
    }

    pub fn in_place(place: &Place, name_or_arn: Option<&str>) -> Result<Self> {
        let text = name_or_arn.unwrap_or(DEFAULT_BUS);
        if !text.starts_with("arn:") {
            return Ok(BusRef { place: place.clone(), name: text.to_owned() });
        }
        let parsed = text.parse::<Arn>().ok().and_then(|arn| Self::of_arn(&place.world, &arn));
        parsed.ok_or_else(|| Error::parameter("EventBusName", "Provided Arn is not in correct format."))
    }

    pub fn of_arn(lane_of: &World, arn: &Arn) -> Option<Self> {
        let name = arn.resource.strip_prefix("event-bus/").filter(|name| !name.is_empty())?;
        if arn.service != "events" {
            return None;
        }
        Some(BusRef { place: Place::of_arn(lane_of, arn)?, name: name.to_owned() })
    }

    pub fn arn(&self) -> Arn {
        self.place.arn(format!("event-bus/{}", self.name))
    }

    pub fn rule_arn(&self, rule: &str) -> Arn {
        if self.name == DEFAULT_BUS {
            self.place.arn(format!("rule/{rule}"))
        } else {
            self.place.arn(format!("rule/{}/{rule}", self.name))
        }
    }

    pub fn is_default(&self) -> bool {
        self.name == DEFAULT_BUS
    }
}

/// What an ARN with tags names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tagged {
    Bus(BusRef),
    Rule(BusRef, String),
}

impl Tagged {
    pub fn parse(cx: &Context, text: &str) -> Result<Self> {
        let wrong = || Error::parameter(text, "Provided Arn is not in correct format.");
        let arn: Arn = text.parse().map_err(|_| wrong())?;
        if let Some(bus) = BusRef::of_arn(&cx.world, &arn) {
            return Ok(Tagged::Bus(bus));
        }
        let place = Place::of_arn(&cx.world, &arn).filter(|_| arn.service == "events").ok_or_else(wrong)?;
        let rest = arn.resource.strip_prefix("rule/").ok_or_else(wrong)?;
        // A partner's bus has slashes in its name; a rule has none.
        let (bus, rule) = rest.rsplit_once('/').unwrap_or((DEFAULT_BUS, rest));
        Ok(Tagged::Rule(BusRef { place, name: bus.to_owned() }, rule.to_owned()))
    }
}

/// The name in an ARN of the form `kind/name` or `kind/name/uuid`.
pub fn name_in_arn(text: &str, kind: &str) -> Option<String> {
    let arn: Arn = text.parse().ok()?;
    let rest = arn.resource.strip_prefix(kind)?.strip_prefix('/')?;
    Some(rest.split('/').next()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place::new(World::default_world(), Region::us_east_1())
    }

    #[test]
    fn buses_go_by_name_and_by_arn() {
        let named = BusRef::in_place(&place(), Some("orders")).unwrap();
        assert_eq!(named.arn().to_string(), "arn:aws:events:us-east-1:000000000000:event-bus/orders");
        assert_eq!(named.rule_arn("r").to_string(), "arn:aws:events:us-east-1:000000000000:rule/orders/r");
        let by_default = BusRef::in_place(&place(), None).unwrap();
        assert_eq!(by_default.rule_arn("r").to_string(), "arn:aws:events:us-east-1:000000000000:rule/r");
        let away = BusRef::in_place(&place(), Some("arn:aws:events:eu-west-1:123456789012:event-bus/aws.partner/a/b"))
            .unwrap();
        assert_eq!((away.name.as_str(), away.place.region.as_str()), ("aws.partner/a/b", "eu-west-1"));
        assert!(BusRef::in_place(&place(), Some("arn:aws:sqs:us-east-1:000000000000:q")).is_err());
    }

    #[test]
    fn names_stand_in_arns() {
        let arn = "arn:aws:events:us-east-1:000000000000:connection/c/0f4b";
        assert_eq!(name_in_arn(arn, "connection").as_deref(), Some("c"));
        assert_eq!(name_in_arn(arn, "api-destination"), None);
    }
}
