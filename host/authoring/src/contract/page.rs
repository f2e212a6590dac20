//! The reference of the contract as Markdown: every world, interface, function and type with its comment.

use std::fmt::Write as _;

use wit_bindgen_core::wit_parser::{
    Docs, InterfaceId, Resolve, Type, TypeDef, TypeDefKind, World, WorldItem, WorldKey,
};

use super::names::{function_name, is_use, signature, type_name};

/// The page of a parsed package.
#[must_use]
pub fn page(resolve: &Resolve) -> String {
    let mut page = String::new();
    for (_, package) in resolve.packages.iter() {
        let version = package.name.to_string();
        _ = writeln!(page, "# {version}\n\n{}", text(&package.docs));
    }
    for (_, world) in resolve.worlds.iter() {
        world_section(resolve, world, &mut page);
    }
    for (id, interface) in resolve.interfaces.iter() {
        if let Some(name) = &interface.name {
            _ = writeln!(page, "\n## interface `{name}`\n");
            paragraph(&interface.docs, &mut page);
            interface_section(resolve, id, &mut page);
        }
    }
    let mut lines: Vec<&str> = page.lines().map(str::trim_end).collect();
    // Whatever ended with an empty line and whatever begins with one.
    lines.dedup_by(|next, before| next.is_empty() && before.is_empty());
    lines.join("\n").trim_end().to_owned() + "\n"
}

fn world_section(resolve: &Resolve, world: &World, page: &mut String) {
    _ = writeln!(page, "\n## world `{}`\n", world.name);
    paragraph(&world.docs, page);
    let interfaces = world.imports.keys().filter_map(|key| match key {
        WorldKey::Interface(id) => resolve.interfaces.get(*id)?.name.as_deref(),
        WorldKey::Name(_) => None,
    });
    let links: Vec<_> = interfaces.map(|name| format!("[`{name}`](#interface-{name})")).collect();
    _ = writeln!(page, "May import {}. It exports:\n", links.join(", "));
    for (key, item) in &world.exports {
        if let (WorldKey::Name(name), WorldItem::Function(function)) = (key, item) {
            _ = writeln!(page, "### `{name}`\n\n```wit\n{name}: {}\n```\n", signature(resolve, None, function));
            paragraph(&function.docs, page);
        }
    }
}

fn interface_section(resolve: &Resolve, id: InterfaceId, page: &mut String) {
    let Some(interface) = resolve.interfaces.get(id) else { return };
    for function in interface.functions.values() {
        let name = function_name(resolve, function);
        _ = writeln!(page, "### `{name}`\n\n```wit\n{name}: {}\n```\n", signature(resolve, Some(id), function));
        paragraph(&function.docs, page);
    }
    for (name, type_id) in &interface.types {
        if let Some(found) = resolve.types.get(*type_id) {
            type_section(resolve, id, name, found, page);
        }
    }
}

fn type_section(resolve: &Resolve, here: InterfaceId, name: &str, found: &TypeDef, page: &mut String) {
    if let TypeDefKind::Type(Type::Id(original)) = found.kind
        && is_use(resolve, found, original)
    {
        return;
    }
    _ = writeln!(page, "### {} `{name}`\n", found.kind.as_str());
    paragraph(&found.docs, page);
    let of = |ty: &Type| cell(&format!("`{}`", type_name(resolve, Some(here), ty)));
    let rows: Vec<[String; 3]> = match &found.kind {
        TypeDefKind::Record(record) => {
            let row =
                |field: &wit_bindgen_core::wit_parser::Field| [field.name.clone(), of(&field.ty), inline(&field.docs)];
            record.fields.iter().map(row).collect()
        }
        TypeDefKind::Variant(variant) => {
            let row = |case: &wit_bindgen_core::wit_parser::Case| {
                [case.name.clone(), case.ty.as_ref().map(of).unwrap_or_default(), inline(&case.docs)]
            };
            variant.cases.iter().map(row).collect()
        }
        TypeDefKind::Enum(choice) => {
            choice.cases.iter().map(|case| [case.name.clone(), String::new(), inline(&case.docs)]).collect()
        }
        TypeDefKind::Flags(flags) => {
            flags.flags.iter().map(|flag| [flag.name.clone(), String::new(), inline(&flag.docs)]).collect()
        }
        _ => Vec::new(),
    };
    if rows.is_empty() {
        return;
    }
    let has_types = rows.iter().any(|[_, ty, _]| !ty.is_empty());
    let head = match &found.kind {
        TypeDefKind::Record(_) => "field",
        _ => "case",
    };
    _ = match has_types {
        true => writeln!(page, "| {head} | type | |\n| --- | --- | --- |"),
        false => writeln!(page, "| {head} | |\n| --- | --- |"),
    };
    for [name, ty, docs] in rows {
        _ = match has_types {
            true => writeln!(page, "| `{name}` | {ty} | {docs} |"),
            false => writeln!(page, "| `{name}` | {docs} |"),
        };
    }
    page.push('\n');
}

fn text(docs: &Docs) -> String {
    docs.contents.as_deref().unwrap_or_default().trim().to_owned()
}

fn paragraph(docs: &Docs, page: &mut String) {
    let text = text(docs);
    if !text.is_empty() {
        _ = writeln!(page, "{text}\n");
    }
}

/// A comment on one line of a table.
fn inline(docs: &Docs) -> String {
    cell(&text(docs).split_whitespace().collect::<Vec<_>>().join(" "))
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
