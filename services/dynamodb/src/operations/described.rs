//! A table as answers describe it.

use fractus_clock::Timestamp;
use fractus_dynamodb_api as api;
use fractus_host::Context;

use super::table_shape::WARM;
use crate::store::Counters;
use crate::table::{Index, KeyNames, OnDemandLimits, Projected, State, Table, ThroughputChanges, Units, View};

pub(super) fn elements(key: &KeyNames) -> Vec<api::KeySchemaElement> {
    let of = |names: &[String], kind: api::KeyType| -> Vec<api::KeySchemaElement> {
        let element = |name: &String| api::KeySchemaElement { attribute_name: name.clone(), key_type: kind.clone() };
        names.iter().map(element).collect()
    };
    let mut elements = of(&key.0, api::KeyType::Hash);
    elements.extend(of(&key.1, api::KeyType::Range));
    elements
}

fn projection_of(index: &Index) -> api::Projection {
    let kind = match index.projected {
        Projected::All => api::ProjectionType::All,
        Projected::KeysOnly => api::ProjectionType::KeysOnly,
        Projected::Include => api::ProjectionType::Include,
    };
    let included = (!index.included.is_empty()).then(|| index.included.clone());
    api::Projection { projection_type: Some(kind), non_key_attributes: included }
}

fn throughput((read, write): Units, changes: ThroughputChanges) -> api::ProvisionedThroughputDescription {
    api::ProvisionedThroughputDescription {
        last_increase_date_time: changes.last_increase_at,
        last_decrease_date_time: changes.last_decrease_at,
        number_of_decreases_today: Some(changes.decreases),
        read_capacity_units: Some(read),
        write_capacity_units: Some(write),
    }
}

/// What is warm: what was asked for, and no less than what is provisioned.
pub fn warm(table: &Table, asked: Option<Units>, provisioned: Units) -> Units {
    let (read, write) = asked.unwrap_or(if table.on_demand { WARM } else { (1, 1) });
    (read.max(provisioned.0), write.max(provisioned.1))
}

fn limits(limits: OnDemandLimits) -> Option<api::OnDemandThroughput> {
    let shown = |limit: Option<i64>| Some(limit.unwrap_or(-1));
    (!limits.is_none()).then(|| api::OnDemandThroughput {
        max_read_request_units: shown(limits.read),
        max_write_request_units: shown(limits.write),
    })
}

pub fn table_arn(cx: &Context, name: &str) -> String {
    let partition = cx.world.partition.as_str();
    format!("arn:{partition}:dynamodb:{}:{}:table/{name}", cx.region.as_str(), cx.world.account.as_str())
}

pub(super) fn view_of(view: View) -> api::StreamViewType {
    match view {
        View::KeysOnly => api::StreamViewType::KeysOnly,
        View::New => api::StreamViewType::NewImage,
        View::Old => api::StreamViewType::OldImage,
        View::NewAndOld => api::StreamViewType::NewAndOldImages,
    }
}

/// The status of a table at a time; nothing if it is gone.
pub fn status(table: &Table, now: Timestamp) -> Option<api::TableStatus> {
    table.state(now).map(|state| match state {
        State::Creating => api::TableStatus::Creating,
        State::Updating => api::TableStatus::Updating,
        State::Deleting => api::TableStatus::Deleting,
        State::Active => api::TableStatus::Active,
    })
}

/// The status of an index in this state, of a table of that status.
pub(super) fn index_status_of(state: State, table: &api::TableStatus) -> api::IndexStatus {
    match (table, state) {
        (api::TableStatus::Creating, _) | (_, State::Creating) => api::IndexStatus::Creating,
        (api::TableStatus::Deleting, _) | (_, State::Deleting) => api::IndexStatus::Deleting,
        (_, State::Updating) => api::IndexStatus::Updating,
        (_, State::Active) => api::IndexStatus::Active,
    }
}

fn global(
    table: &Table,
    index: &Index,
    (status, counters, arn): (&api::TableStatus, &Counters, &str),
    now: Timestamp,
) -> api::GlobalSecondaryIndexDescription {
    let (items, bytes) = counters.index(index.number);
    let index_status = index_status_of(index.state(now), status);
    let (read, write) = warm(table, index.warm, index.throughput);
    let is_creating = index_status == api::IndexStatus::Creating;
    // An index that CreateTable made is never said to be back-filled.
    let filling = index.filling.as_ref().filter(|_| is_creating);
    api::GlobalSecondaryIndexDescription {
        index_name: Some(index.name.clone()),
        key_schema: Some(elements(&index.key)),
        projection: Some(projection_of(index)),
        backfilling: filling.map(|filling| filling.begins_at <= now && *status != api::TableStatus::Updating),
        index_status: Some(index_status.clone()),
        provisioned_throughput: Some(throughput(index.throughput, index.throughput_changes)),
        index_size_bytes: i64::try_from(bytes).ok(),
        item_count: i64::try_from(items).ok(),
        index_arn: Some(format!("{arn}/index/{}", index.name)),
        on_demand_throughput: limits(index.limits),
        warm_throughput: Some(api::GlobalSecondaryIndexWarmThroughputDescription {
            read_units_per_second: Some(read),
            write_units_per_second: Some(write),
            status: Some(index_status),
        }),
    }
}

fn local(index: &Index, counters: &Counters, arn: &str) -> api::LocalSecondaryIndexDescription {
    let (items, bytes) = counters.index(index.number);
    api::LocalSecondaryIndexDescription {
        index_name: Some(index.name.clone()),
        key_schema: Some(elements(&index.key)),
        projection: Some(projection_of(index)),
        index_size_bytes: i64::try_from(bytes).ok(),
        item_count: i64::try_from(items).ok(),
        index_arn: Some(format!("{arn}/index/{}", index.name)),
    }
}

fn billing(table: &Table) -> Option<api::BillingModeSummary> {
    let was_on_demand = table.on_demand_since.is_some();
    let mode = if table.on_demand { api::BillingMode::PayPerRequest } else { api::BillingMode::Provisioned };
    (table.on_demand || was_on_demand).then(|| api::BillingModeSummary {
        billing_mode: Some(mode),
        last_update_to_pay_per_request_date_time: table.on_demand_since.or(Some(table.created_at)),
    })
}

fn definition((name, kind): &(String, String)) -> api::AttributeDefinition {
    api::AttributeDefinition {
        attribute_name: name.clone(),
        attribute_type: match kind.as_str() {
            "N" => api::ScalarAttributeType::N,
            "B" => api::ScalarAttributeType::B,
            _ => api::ScalarAttributeType::S,
        },
    }
}

fn class(table: &Table) -> Option<api::TableClassSummary> {
    table.class.as_deref().map(|class| api::TableClassSummary {
        table_class: Some(match class {
            "STANDARD_INFREQUENT_ACCESS" => api::TableClass::StandardInfrequentAccess,
            _ => api::TableClass::Standard,
        }),
        last_update_date_time: table.class_changed_at,
    })
}

pub fn described(cx: &Context, table: &Table, status: api::TableStatus, counters: Counters) -> api::TableDescription {
    let (arn, now) = (table_arn(cx, &table.name), cx.now());
    let of = |is_global: bool| table.indexes.iter().filter(move |index| index.is_global == is_global);
    let locals: Vec<_> = of(false).map(|index| local(index, &counters, &arn)).collect();
    let globals: Vec<_> = of(true).map(|index| global(table, index, (&status, &counters, &arn), now)).collect();
    let vectors = super::vector_indexes::described(table, (&status, &counters, &arn), now);
    let (warm_read, warm_write) = warm(table, table.warm, table.throughput);
    let stream_label = table.latest_stream_label.clone();
    api::TableDescription {
        attribute_definitions: Some(table.attributes.iter().map(definition).collect()),
        table_name: Some(table.name.clone()),
        key_schema: Some(elements(&table.key)),
        table_status: Some(status.clone()),
        creation_date_time: Some(table.created_at),
        provisioned_throughput: Some(throughput(table.throughput, table.throughput_changes)),
        table_size_bytes: i64::try_from(counters.bytes).ok(),
        item_count: i64::try_from(counters.items).ok(),
        table_id: Some(table.uuid.clone()),
        billing_mode_summary: billing(table),
        local_secondary_indexes: (!locals.is_empty()).then_some(locals),
        global_secondary_indexes: (!globals.is_empty()).then_some(globals),
        vector_indexes: vectors,
        stream_specification: table.stream.as_ref().map(|stream| api::StreamSpecification {
            stream_enabled: true,
            stream_view_type: Some(view_of(stream.view)),
        }),
        latest_stream_arn: stream_label.as_ref().map(|label| format!("{arn}/stream/{label}")),
        latest_stream_label: stream_label,
        sse_description: table.encryption_key.as_ref().map(|key| api::SSEDescription {
            status: Some(api::SSEStatus::Enabled),
            sse_type: Some(api::SSEType::Kms),
            kms_master_key_arn: Some(key.clone()),
            ..Default::default()
        }),
        table_class_summary: class(table),
        deletion_protection_enabled: Some(table.deletion_protection),
        on_demand_throughput: limits(table.limits),
        warm_throughput: Some(api::TableWarmThroughputDescription {
            read_units_per_second: Some(warm_read),
            write_units_per_second: Some(warm_write),
            status: Some(if status == api::TableStatus::Updating { status } else { api::TableStatus::Active }),
        }),
        table_arn: Some(arn),
        ..crate::features::described(cx, table)
    }
}
