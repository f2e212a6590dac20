//! Reading attributes, and what groups have in common.

use kiln_otlp as otlp;
use kiln_otlp::{Attributes, Invalid, ListItem, MAX_ATTRIBUTES};
use wasmtime::component::WasmList;

use super::super::guest_memory::{Failure, Store, all, bytes, collect, key, value};
use super::records::{Attribute, AttributeValue, Resource, Scope};

/// Resource and scope of a group: few and small, so they are read whole.
pub(super) struct Head {
    resource: Vec<otlp::Attribute>,
    name: String,
    version: String,
    scope: Vec<otlp::Attribute>,
}

impl Head {
    pub(super) fn read(store: &mut Store<'_>, resource: &Resource, scope: &Scope) -> Result<Self, Failure> {
        Ok(Self {
            resource: read_attributes(store, &resource.attributes)?,
            name: key(&scope.name, store)?.into_owned(),
            version: key(&scope.version, store)?.into_owned(),
            scope: read_attributes(store, &scope.attributes)?,
        })
    }

    pub(super) fn resource(&self, attributes: &mut Attributes<'_>) -> Result<(), Failure> {
        write_owned(attributes, &self.resource)
    }

    pub(super) fn scope(&self) -> otlp::Scope<'_> {
        otlp::Scope { name: &self.name, version: &self.version }
    }

    pub(super) fn scope_attributes(&self, attributes: &mut Attributes<'_>) -> Result<(), Failure> {
        write_owned(attributes, &self.scope)
    }
}

pub(super) fn write_owned(attributes: &mut Attributes<'_>, owned: &[otlp::Attribute]) -> Result<(), Failure> {
    Ok(owned.iter().try_for_each(|attribute| attributes.attribute(attribute))?)
}

pub(super) fn write_attributes(
    store: &mut Store<'_>,
    attributes: &mut Attributes<'_>,
    list: &WasmList<Attribute>,
) -> Result<(), Failure> {
    check_count(list)?;
    for attribute in all(list, store)? {
        let key = key(&attribute.key, store)?;
        match &attribute.value {
            AttributeValue::Text(text) => attributes.value(&key, ListItem::Text(&value(text, store)?))?,
            AttributeValue::Boolean(value) => attributes.value(&key, ListItem::Boolean(*value))?,
            AttributeValue::Integer(value) => attributes.value(&key, ListItem::Integer(*value))?,
            AttributeValue::Float(value) => attributes.value(&key, ListItem::Float(*value))?,
            AttributeValue::Bytes(value) => attributes.bytes(&key, bytes(value, store)?)?,
            AttributeValue::TextList(_)
            | AttributeValue::BooleanList(_)
            | AttributeValue::IntegerList(_)
            | AttributeValue::FloatList(_) => {
                attributes.attribute(&read_attribute(store, &attribute)?)?;
            }
        }
    }
    Ok(())
}

/// Before any of them is read.
fn check_count(list: &WasmList<Attribute>) -> Result<(), Failure> {
    if list.len() > MAX_ATTRIBUTES { Err(Invalid::TooManyAttributes(MAX_ATTRIBUTES).into()) } else { Ok(()) }
}

pub(super) fn read_attributes(
    store: &mut Store<'_>,
    list: &WasmList<Attribute>,
) -> Result<Vec<otlp::Attribute>, Failure> {
    check_count(list)?;
    let read = all(list, store)?;
    read.iter().map(|attribute| read_attribute(store, attribute)).collect()
}

pub(super) fn read_attribute(store: &mut Store<'_>, attribute: &Attribute) -> Result<otlp::Attribute, Failure> {
    let key = key(&attribute.key, store)?.into_owned();
    Ok(otlp::Attribute { key, value: read_value(store, &attribute.value)? })
}

pub(super) fn read_value(store: &mut Store<'_>, read: &AttributeValue) -> Result<otlp::AttributeValue, Failure> {
    Ok(match read {
        AttributeValue::Text(text) => otlp::AttributeValue::Text(value(text, store)?.into_owned()),
        AttributeValue::Boolean(value) => otlp::AttributeValue::Boolean(*value),
        AttributeValue::Integer(value) => otlp::AttributeValue::Integer(*value),
        AttributeValue::Float(value) => otlp::AttributeValue::Float(*value),
        AttributeValue::Bytes(value) => otlp::AttributeValue::Bytes(bytes(value, store)?.to_vec()),
        AttributeValue::TextList(texts) => {
            let items = collect(texts, store)?;
            let texts: Result<_, Failure> = items.iter().map(|item| Ok(value(item, store)?.into_owned())).collect();
            otlp::AttributeValue::TextList(texts?)
        }
        AttributeValue::BooleanList(value) => otlp::AttributeValue::BooleanList(collect(value, store)?),
        AttributeValue::IntegerList(value) => otlp::AttributeValue::IntegerList(collect(value, store)?),
        AttributeValue::FloatList(value) => otlp::AttributeValue::FloatList(collect(value, store)?),
    })
}
