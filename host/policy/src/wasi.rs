//! The interfaces of WASI 0.2 a component may import, and what each of them can do here.
//!
//! Toolchains pull most of them in without being asked. So an import of WASI is no request: it is linked to something
//! that has no authority, until the manifest requests what would give it some and the operator grants that.

use std::fmt;

/// What an interface of WASI amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WasiClass {
    /// Carries no authority: clocks, random numbers, streams, output into the operator's log.
    Inert,
    /// Environment variables: those requested and granted, else none. There are never arguments.
    Environment,
    /// Files: the directories requested and granted, to read; else there is none.
    Files,
    /// Outbound HTTP through the same door as `kiln:plugin/http`. Has to be requested.
    Http,
    /// Sockets. Every call is refused, whatever is granted.
    Sockets,
}

impl WasiClass {
    /// What it can do here, for the person who judges a plugin.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Inert => "carries no authority",
            Self::Environment => "the variables granted, else none",
            Self::Files => "the directories granted, read-only, else none",
            Self::Http => "the same door as kiln:plugin/http",
            Self::Sockets => "there for runtimes that import it; every call is refused",
        }
    }
}

macro_rules! interfaces {
    ($($variant:ident $name:literal $class:ident)*) => {
        /// An interface of WASI 0.2.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum WasiInterface { $($variant),* }

        impl WasiInterface {
            /// Every interface Kiln offers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name without the version, for example `wasi:cli/stdout`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What it amounts to.
            #[must_use]
            pub const fn class(self) -> WasiClass {
                match self { $(Self::$variant => WasiClass::$class),* }
            }
        }
    };
}

interfaces! {
    CliEnvironment "wasi:cli/environment" Environment
    CliExit "wasi:cli/exit" Inert
    CliStdin "wasi:cli/stdin" Inert
    CliStdout "wasi:cli/stdout" Inert
    CliStderr "wasi:cli/stderr" Inert
    CliTerminalInput "wasi:cli/terminal-input" Inert
    CliTerminalOutput "wasi:cli/terminal-output" Inert
    CliTerminalStdin "wasi:cli/terminal-stdin" Inert
    CliTerminalStdout "wasi:cli/terminal-stdout" Inert
    CliTerminalStderr "wasi:cli/terminal-stderr" Inert
    MonotonicClock "wasi:clocks/monotonic-clock" Inert
    WallClock "wasi:clocks/wall-clock" Inert
    IoError "wasi:io/error" Inert
    IoPoll "wasi:io/poll" Inert
    IoStreams "wasi:io/streams" Inert
    Random "wasi:random/random" Inert
    RandomInsecure "wasi:random/insecure" Inert
    RandomInsecureSeed "wasi:random/insecure-seed" Inert
    FilesystemTypes "wasi:filesystem/types" Files
    FilesystemPreopens "wasi:filesystem/preopens" Files
    HttpTypes "wasi:http/types" Http
    HttpOutgoingHandler "wasi:http/outgoing-handler" Http
    SocketsNetwork "wasi:sockets/network" Sockets
    SocketsInstanceNetwork "wasi:sockets/instance-network" Sockets
    SocketsTcp "wasi:sockets/tcp" Sockets
    SocketsTcpCreateSocket "wasi:sockets/tcp-create-socket" Sockets
    SocketsUdp "wasi:sockets/udp" Sockets
    SocketsUdpCreateSocket "wasi:sockets/udp-create-socket" Sockets
    SocketsIpNameLookup "wasi:sockets/ip-name-lookup" Sockets
}

impl WasiInterface {
    /// Understands the full name of an import, for example `wasi:cli/stdout@0.2.3`. `None` if Kiln offers no such
    /// interface, or not in that version: releases of 0.2 are compatible with each other, its drafts and 0.3 are not.
    #[must_use]
    pub fn parse(import: &str) -> Option<Self> {
        let (name, version) = import.split_once('@')?;
        let patch = version.strip_prefix("0.2.")?;
        let is_release = !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit());
        Self::ALL.iter().copied().find(|interface| is_release && interface.name() == name)
    }
}

impl fmt::Display for WasiInterface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_0_2_are_offered_and_nothing_else() {
        assert_eq!(WasiInterface::parse("wasi:cli/stdout@0.2.0"), Some(WasiInterface::CliStdout));
        assert_eq!(WasiInterface::parse("wasi:cli/stdout@0.2.12"), Some(WasiInterface::CliStdout));
        for import in [
            "wasi:cli/stdout",
            "wasi:cli/stdout@0.2",
            "wasi:cli/stdout@0.2.",
            "wasi:cli/stdout@0.2.0-rc-2023-12-05",
            "wasi:cli/stdout@0.3.0",
            "wasi:cli/run@0.2.0",
            "wasi:http/incoming-handler@0.2.0",
            "wasi:keyvalue/store@0.2.0",
        ] {
            assert_eq!(WasiInterface::parse(import), None, "{import}");
        }
    }
}
