//! From the author's type to the exports of a component, and the one instance between them.
//!
//! The contract promises that calls never overlap; a host that breaks the promise meets an error here, not a panic.

/// Turns a [`Receiver`](crate::Receiver) into the exports of a component. Needs the feature `receiver`; off
/// WebAssembly it does nothing.
#[cfg(not(target_arch = "wasm32"))]
#[macro_export]
macro_rules! export_receiver {
    ($receiver:ty) => {};
}

/// Turns a [`Processor`](crate::Processor) into the exports of a component. Needs the feature `processor`; off
/// WebAssembly it does nothing.
#[cfg(not(target_arch = "wasm32"))]
#[macro_export]
macro_rules! export_processor {
    ($processor:ty) => {};
}

/// Where the instance is kept.
#[cfg(all(target_arch = "wasm32", feature = "std"))]
#[doc(hidden)]
#[macro_export]
macro_rules! one_instance {
    ($plugin:ty) => {
        ::std::thread_local! {
            static INSTANCE: $crate::component::Instance<$plugin> = const { $crate::component::Instance::new() };
        }

        fn with_instance<T>(call: impl ::core::ops::FnOnce(&$crate::component::Instance<$plugin>) -> T) -> T {
            INSTANCE.with(call)
        }
    };
}

/// Where the instance is kept; what is not a thread's own has to be `Send`, though there is one thread.
#[cfg(all(target_arch = "wasm32", not(feature = "std")))]
#[doc(hidden)]
#[macro_export]
macro_rules! one_instance {
    ($plugin:ty) => {
        static INSTANCE: $crate::component::Instance<$plugin> = $crate::component::Instance::new();

        fn with_instance<T>(call: impl ::core::ops::FnOnce(&$crate::component::Instance<$plugin>) -> T) -> T {
            call(&INSTANCE)
        }
    };
}

/// Turns a receiver into the exports of a component.
#[cfg(all(target_arch = "wasm32", feature = "receiver"))]
#[macro_export]
macro_rules! export_receiver {
    ($receiver:ty) => {
        const _: () = {
            $crate::one_instance!($receiver);

            struct Component;

            impl $crate::bindings::receiver::Guest for Component {
                fn configure(config: $crate::prelude::String) -> Result<(), $crate::ConfigError> {
                    with_instance(|instance| instance.configure_receiver(&config))
                }

                fn collect() -> Result<$crate::Outcome, $crate::CollectError> {
                    with_instance(|instance| instance.collect())
                }
            }

    $crate::bindings::receiver::export!(Component with_types_in $crate::bindings::receiver);
        };
    };
}

/// Turns a processor into the exports of a component.
#[cfg(all(target_arch = "wasm32", feature = "processor"))]
#[macro_export]
macro_rules! export_processor {
    ($processor:ty) => {
        const _: () = {
            $crate::one_instance!($processor);

            struct Component;

            impl $crate::bindings::processor::Guest for Component {
                fn configure(config: $crate::prelude::String) -> Result<(), $crate::ConfigError> {
                    with_instance(|instance| instance.configure_processor(&config))
                }

                fn process(
                    view: $crate::processor::View,
                ) -> Result<$crate::prelude::Vec<$crate::processor::Edit>, $crate::processor::ProcessError> {
                    with_instance(|instance| instance.process(&view))
                }
            }

    $crate::bindings::processor::export!(Component with_types_in $crate::bindings::processor);
        };
    };
}

#[cfg(target_arch = "wasm32")]
pub use instance::Instance;

#[cfg(target_arch = "wasm32")]
mod instance {
    use try_lock::TryLock;

    use crate::host::{Host, ProcessorHost};
    use crate::imports::Component;
    use crate::prelude::*;
    use crate::processor::{Edit, ProcessError, Processor, View};
    use crate::receiver::{CollectError, ConfigError, Outcome, Receiver, parse_config};

    const NOT_CONFIGURED: &str = "called before it was configured";

    /// Holds the instance once it is configured.
    #[derive(Debug)]
    pub struct Instance<P>(TryLock<Option<P>>);

    impl<P> Instance<P> {
        /// Not configured yet.
        #[must_use]
        pub const fn new() -> Self {
            Self(TryLock::new(None))
        }

        fn keep(&self, plugin: P) -> Result<(), ConfigError> {
            let mut slot = self.0.try_lock().ok_or_else(|| ConfigError::new("", "configured while in use"))?;
            *slot = Some(plugin);
            Ok(())
        }
    }

    impl<P> Default for Instance<P> {
        fn default() -> Self {
            Self::new()
        }
    }

    impl<P: Receiver> Instance<P> {
        /// The export `configure` of a receiver.
        ///
        /// # Errors
        /// As the receiver says, or the configuration is not of its type.
        pub fn configure_receiver(&self, config: &str) -> Result<(), ConfigError> {
            self.keep(P::configure(parse_config(config)?)?)
        }

        /// The export `collect`.
        ///
        /// # Errors
        /// As the receiver says.
        pub fn collect(&self) -> Result<Outcome, CollectError> {
            match self.0.try_lock().as_deref_mut() {
                Some(Some(receiver)) => receiver.collect(&mut Host::new(Component)),
                Some(None) | None => Err(CollectError::Failed(NOT_CONFIGURED.to_owned())),
            }
        }
    }

    impl<P: Processor> Instance<P> {
        /// The export `configure` of a processor.
        ///
        /// # Errors
        /// As the processor says, or the configuration is not of its type.
        pub fn configure_processor(&self, config: &str) -> Result<(), ConfigError> {
            let mut processor = P::configure(parse_config(config)?)?;
            processor.start(&mut ProcessorHost::new(Component))?;
            self.keep(processor)
        }

        /// The export `process`.
        ///
        /// # Errors
        /// As the processor says.
        pub fn process(&self, view: &View) -> Result<Vec<Edit>, ProcessError> {
            match self.0.try_lock().as_deref_mut() {
                Some(Some(processor)) => processor.process(&mut ProcessorHost::new(Component), view),
                Some(None) | None => Err(ProcessError::Failed(NOT_CONFIGURED.to_owned())),
            }
        }
    }
}
