//! From a valid manifest to the module `telemetry`.

use kiln_policy::{AttributeDeclaration, AttributeType, Declared, Manifest, MetricDeclaration, MetricKind, NumberType};
use proc_macro2::{Ident, Literal, TokenStream};
use quote::quote;

use crate::names::{camel, check_distinct, snake};

/// Methods and types the generated code has besides those of the metrics.
const RESERVED: [&str; 4] = ["new", "undeclared", "resource", "metrics"];

pub(crate) fn module(manifest: &Manifest, path: &str) -> Result<TokenStream, String> {
    let telemetry = &manifest.telemetry;
    check_distinct(telemetry.metrics.keys().map(String::as_str), &RESERVED)?;
    check_distinct(telemetry.resource_attributes.keys().map(String::as_str), &[])?;
    for metric in telemetry.metrics.values() {
        check_distinct(metric.attributes.iter().map(String::as_str), &[])?;
    }
    let doc = format!("What the plugin `{}` declares in its manifest, as types.", manifest.name);
    let emits_metrics = !telemetry.metrics.is_empty() || !telemetry.undeclared_metrics.is_empty();
    let metrics = emits_metrics.then(|| metrics(manifest));
    Ok(quote! {
        #[doc = #doc]
        pub mod telemetry {
            /// The manifest as it was when the plugin was built.
            pub const MANIFEST: &str = ::core::include_str!(#path);

            #metrics
        }
    })
}

fn metrics(manifest: &Manifest) -> TokenStream {
    let telemetry = &manifest.telemetry;
    let scope = format!("kiln/{}", manifest.name);
    let version = &manifest.version;
    let prefixes = telemetry.undeclared_metrics.iter().map(|undeclared| &undeclared.prefix);
    let descriptors = telemetry.metrics.iter().map(|(name, metric)| descriptor(name, metric));
    let types = telemetry.metrics.iter().map(|(name, metric)| metric_types(name, metric, telemetry));
    let methods = telemetry.metrics.iter().enumerate().map(|(index, (name, metric))| method(index, name, metric));
    let (resource, new) = resource(telemetry);
    let undeclared = (!telemetry.undeclared_metrics.is_empty()).then(|| undeclared(telemetry));
    quote! {
        static DECLARATIONS: ::kiln_plugin::metrics::Declarations = ::kiln_plugin::metrics::Declarations {
            scope: #scope,
            version: #version,
            metrics: &[#(#descriptors),*],
            undeclared_prefixes: &[#(#prefixes),*],
        };

        /// The scope of everything the plugin emits.
        #[must_use]
        pub fn scope() -> ::kiln_plugin::telemetry::Scope {
            DECLARATIONS.scope()
        }

        #resource

        #(#types)*

        /// The metrics of one resource: a method for each one the manifest declares.
        #[derive(Debug)]
        pub struct Metrics(::kiln_plugin::metrics::MetricSet);

        impl Metrics {
            #new
            #(#methods)*
            #undeclared
        }

        impl ::core::convert::From<Metrics> for ::kiln_plugin::telemetry::ResourceMetrics {
            fn from(metrics: Metrics) -> Self {
                metrics.0.into()
            }
        }
    }
}

fn descriptor(name: &str, metric: &MetricDeclaration) -> TokenStream {
    let MetricDeclaration { unit, description, monotonic, .. } = metric;
    let kind = match metric.kind {
        MetricKind::Gauge => quote!(Gauge),
        MetricKind::Sum => quote!(Sum { monotonic: #monotonic }),
        MetricKind::Histogram => quote!(Histogram),
    };
    quote! {
        ::kiln_plugin::metrics::Descriptor {
            name: #name,
            unit: #unit,
            description: #description,
            kind: ::kiln_plugin::metrics::Kind::#kind,
        }
    }
}

fn resource(telemetry: &Declared) -> (TokenStream, TokenStream) {
    if telemetry.resource_attributes.is_empty() {
        let new = quote! {
            /// No points yet.
            #[must_use]
            pub fn new() -> Self {
                Self(::kiln_plugin::metrics::MetricSet::new(&DECLARATIONS, &()))
            }
        };
        return (TokenStream::new(), new);
    }
    let name = camel("resource", "");
    let attributes: Vec<_> = telemetry.resource_attributes.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let lifetime = borrowed(&attributes).then(|| quote!(<'_>));
    let new = quote! {
        /// No points yet.
        #[must_use]
        pub fn new(resource: &Resource #lifetime) -> Self {
            Self(::kiln_plugin::metrics::MetricSet::new(&DECLARATIONS, resource))
        }
    };
    let declared = attribute_struct(&name, "What the telemetry is about.", &attributes);
    let record = quote! {
        impl ::core::convert::From<&#name #lifetime> for ::kiln_plugin::telemetry::Resource {
            fn from(resource: &#name #lifetime) -> Self {
                Self { attributes: ::kiln_plugin::metrics::Attributes::to_attributes(resource) }
            }
        }
    };
    (quote!(#declared #record), new)
}

fn metric_types(name: &str, metric: &MetricDeclaration, telemetry: &Declared) -> TokenStream {
    let attributes = attributes_of(metric, telemetry);
    let attribute_struct = (!attributes.is_empty())
        .then(|| attribute_struct(&camel(name, ""), &format!("Attributes of a point of `{name}`."), &attributes));
    let bounds = (metric.kind == MetricKind::Histogram).then(|| {
        let bounds_name = camel(name, "Bounds");
        let histogram_name = camel(name, "Histogram");
        let bounds = metric.bounds.iter().map(|bound| Literal::f64_suffixed(*bound));
        let bounds_doc = format!("Upper bounds of the buckets of `{name}`, in `{}`.", metric.unit);
        let histogram_doc = format!("Accumulates values of `{name}`, in `{}`.", metric.unit);
        quote! {
            #[doc = #bounds_doc]
            #[derive(Clone, Copy, Debug)]
            pub struct #bounds_name;

            impl ::kiln_plugin::Bounds for #bounds_name {
                const BOUNDS: &'static [f64] = &[#(#bounds),*];
            }

            #[doc = #histogram_doc]
            pub type #histogram_name = ::kiln_plugin::Histogram<#bounds_name>;
        }
    });
    quote!(#attribute_struct #bounds)
}

fn attributes_of<'a>(
    metric: &'a MetricDeclaration,
    telemetry: &'a Declared,
) -> Vec<(&'a str, &'a AttributeDeclaration)> {
    let declared = |key: &'a String| telemetry.attributes.get(key).map(|attribute| (key.as_str(), attribute));
    metric.attributes.iter().filter_map(declared).collect()
}

/// Whether the struct of these attributes has a lifetime.
fn borrowed(attributes: &[(&str, &AttributeDeclaration)]) -> bool {
    attributes.iter().any(|(_, attribute)| attribute.kind == AttributeType::String)
}

fn attribute_struct(name: &Ident, doc: &str, attributes: &[(&str, &AttributeDeclaration)]) -> TokenStream {
    let lifetime = borrowed(attributes).then(|| quote!(<'a>));
    let elided = borrowed(attributes).then(|| quote!(<'_>));
    let fields = attributes.iter().map(|(key, attribute)| {
        let field = snake(key);
        let kind = match attribute.kind {
            AttributeType::String => quote!(&'a str),
            AttributeType::Int => quote!(i64),
            AttributeType::Double => quote!(f64),
            AttributeType::Boolean => quote!(bool),
        };
        let kind = if attribute.optional { quote!(::core::option::Option<#kind>) } else { kind };
        let doc = format!("`{key}`: {}", attribute.description);
        quote! {
            #[doc = #doc]
            pub #field: #kind
        }
    });
    let pushes = attributes.iter().map(|(key, attribute)| {
        let field = snake(key);
        if attribute.optional {
            quote! {
                if let ::core::option::Option::Some(value) = self.#field {
                    attributes.push(::kiln_plugin::telemetry::Attribute::new(#key, value));
                }
            }
        } else {
            quote!(attributes.push(::kiln_plugin::telemetry::Attribute::new(#key, self.#field));)
        }
    });
    let count = attributes.len();
    quote! {
        #[doc = #doc]
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub struct #name #lifetime {
            #(#fields),*
        }

        impl ::kiln_plugin::metrics::Attributes for #name #elided {
            fn to_attributes(&self) -> ::kiln_plugin::prelude::Vec<::kiln_plugin::telemetry::Attribute> {
                let mut attributes = ::kiln_plugin::prelude::Vec::with_capacity(#count);
                #(#pushes)*
                attributes
            }
        }
    }
}

fn method(index: usize, name: &str, metric: &MetricDeclaration) -> TokenStream {
    let method = snake(name);
    let doc = format!("Adds a point to `{name}` (`{}`): {}", metric.unit, metric.description);
    let takes_start = metric.monotonic || metric.kind == MetricKind::Histogram;
    let start_parameter = takes_start.then(|| quote!(start: ::kiln_plugin::UnixNanos,));
    let start = if takes_start { quote!(start) } else { quote!(::kiln_plugin::UnixNanos::from_nanos(0)) };
    let (attributes_parameter, attributes) = if metric.attributes.is_empty() {
        (None, quote!(&()))
    } else {
        let attributes = camel(name, "");
        (Some(quote!(attributes: &#attributes,)), quote!(attributes))
    };
    let (value_type, call) = match (metric.kind, metric.number) {
        (MetricKind::Histogram, _) => {
            let histogram = camel(name, "Histogram");
            (quote!(&#histogram), quote!(self.0.histogram(#index, #start, #attributes, value)))
        }
        (MetricKind::Gauge | MetricKind::Sum, number) => {
            let (value_type, variant) = match number {
                NumberType::Int => (quote!(i64), quote!(Integer)),
                NumberType::Double => (quote!(f64), quote!(Float)),
            };
            let value = quote!(::kiln_plugin::telemetry::Number::#variant(value));
            (value_type, quote!(self.0.number(#index, #start, #attributes, #value)))
        }
    };
    quote! {
        #[doc = #doc]
        pub fn #method(&mut self, #start_parameter #attributes_parameter value: #value_type) {
            #call;
        }
    }
}

fn undeclared(telemetry: &Declared) -> TokenStream {
    let families: String = telemetry
        .undeclared_metrics
        .iter()
        .map(|undeclared| format!("\n* `{}*`: {}", undeclared.prefix, undeclared.description))
        .collect();
    let doc = format!("Adds a point to a metric the manifest does not name, of one of the families\n{families}");
    quote! {
        #[doc = #doc]
        ///
        /// # Errors
        /// The name is not of these families, is declared, or was used for another kind of metric before.
        pub fn undeclared(
            &mut self,
            metric: &::kiln_plugin::metrics::Undeclared<'_>,
            attributes: ::kiln_plugin::prelude::Vec<::kiln_plugin::telemetry::Attribute>,
            value: ::kiln_plugin::telemetry::Number,
        ) -> ::core::result::Result<(), ::kiln_plugin::metrics::UndeclaredError> {
            self.0.undeclared(metric, attributes, value)
        }
    }
}
