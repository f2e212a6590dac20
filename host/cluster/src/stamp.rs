//! By whom a script was rendered, and whether it is still what it was.
//!
//! Invariant: the second line of a script names the version of Kiln that rendered it and the SHA-256 of all that follows
//! that line. It is no proof against somebody who can write the script, only against a slip.

use std::fmt;

use crate::bundle::Digest;

const SHEBANG: &str = "#!/bin/bash\n";
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// `body` with its first two lines.
pub(crate) fn stamped(body: &str) -> String {
    format!("{SHEBANG}# kiln {VERSION}; sha256 of the lines below: {}\n{body}", Digest::of(body.as_bytes()))
}

/// What a script says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The version of Kiln that rendered it.
    pub version: String,
    /// Whether it is as it was rendered.
    pub intact: bool,
}

impl Stamp {
    /// Reads the stamp of `script`; `None` if it has none, as no script of Kiln's has.
    #[must_use]
    pub fn read(script: &str) -> Option<Self> {
        let (first, rest) = script.split_once('\n')?;
        let (second, body) = rest.split_once('\n')?;
        if first.trim_end() != SHEBANG.trim_end() {
            return None;
        }
        let (version, digest) = second.strip_prefix("# kiln ")?.split_once("; sha256 of the lines below: ")?;
        let plausible = |text: &str| !text.is_empty() && text.len() <= 64 && text.chars().all(|c| c.is_ascii_graphic());
        if !plausible(version) {
            return None;
        }
        // An editor that ends lines in another way has changed every one of them.
        let intact = digest == Digest::of(body.as_bytes()).to_string() && !first.ends_with('\r');
        Some(Self { version: version.to_owned(), intact })
    }
}

/// What became of a script since it was rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is what would be rendered now.
    Current,
    /// It was rendered by this version and is as it was; there was nothing else to compare it with.
    Intact,
    /// It is not one of Kiln's scripts.
    Foreign,
    /// It was changed by hand, or on the way.
    Edited(Stamp),
    /// It was rendered by another version of Kiln.
    OtherVersion(Stamp),
    /// It was rendered from other files, another source or other options: the first line that differs in it, and in what
    /// would be rendered now.
    Different {
        /// What the script says.
        deployed: String,
        /// What it would say.
        current: String,
    },
}

impl Verdict {
    /// Judges `deployed` by itself and, where there is one, by what would be rendered now.
    #[must_use]
    pub fn of(deployed: &str, current: Option<&str>) -> Self {
        if current == Some(deployed) {
            return Self::Current;
        }
        let stamp = match Stamp::read(deployed) {
            None => return Self::Foreign,
            Some(stamp) if !stamp.intact => return Self::Edited(stamp),
            Some(stamp) if stamp.version != VERSION => return Self::OtherVersion(stamp),
            Some(stamp) => stamp,
        };
        let Some(current) = current else { return Self::Intact };
        // The stamps differ whatever it is that does.
        let (mut now, mut then) = (current.lines().skip(2), deployed.lines().skip(2));
        loop {
            match (then.next(), now.next()) {
                (Some(then), Some(now)) if then == now => {}
                (None, None) => return Self::OtherVersion(stamp),
                (then, now) => {
                    let line = |line: Option<&str>| line.unwrap_or("(the end)").trim().to_owned();
                    return Self::Different { deployed: line(then), current: line(now) };
                }
            }
        }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        matches!(self, Self::Current | Self::Intact)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str("current: it is what would be rendered now"),
            Self::Intact => write!(
                f,
                "as kiln {VERSION} rendered it; give --bundle and --source to compare it with what would be rendered now"
            ),
            Self::Foreign => f.write_str("not a script of `kiln init-script`: its second line has no stamp"),
            Self::Edited(stamp) => write!(
                f,
                "changed since kiln {} rendered it: render it again, and store it without an editor in between",
                stamp.version
            ),
            Self::OtherVersion(stamp) => {
                write!(f, "rendered by kiln {}, and this is kiln {VERSION}: render it again", stamp.version)
            }
            Self::Different { deployed, current } => write!(
                f,
                "rendered from something else: it says `{deployed}` where it would now say `{current}`: render it again"
            ),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_script_is_judged_by_itself_and_by_what_would_be_rendered() {
        let script = stamped("main() {\n  true\n}\n");
        let other = stamped("main() {\n  false\n}\n");
        assert_eq!(Verdict::of(&script, Some(&script)), Verdict::Current);
        assert_eq!(Verdict::of(&script, None), Verdict::Intact);
        assert_eq!(
            Verdict::of(&script, Some(&other)),
            Verdict::Different { deployed: "true".to_owned(), current: "false".to_owned() }
        );
        let longer = stamped("main() {\n  true\n}\nmain\n");
        assert_eq!(
            Verdict::of(&script, Some(&longer)),
            Verdict::Different { deployed: "(the end)".to_owned(), current: "main".to_owned() }
        );
        let older = script.replacen(VERSION, "0.0.9", 1);
        assert!(matches!(Verdict::of(&older, Some(&script)), Verdict::OtherVersion(stamp) if stamp.version == "0.0.9"));
        let edited = script.replace("true", "reboot");
        assert!(matches!(Verdict::of(&edited, Some(&script)), Verdict::Edited(_)));
        let converted = script.replace('\n', "\r\n");
        assert!(matches!(Verdict::of(&converted, None), Verdict::Edited(_)), "{:?}", Verdict::of(&converted, None));
        for foreign in
            ["", "#!/bin/bash", "#!/bin/bash\necho hello\n", "#!/bin/sh\n# kiln 1; sha256 of the lines below: \n"]
        {
            assert_eq!(Verdict::of(foreign, None), Verdict::Foreign, "{foreign}");
        }
    }

    proptest! {
        /// Guarantees: any text can be judged, what was stamped is intact, and a byte more or less is seen.
        #[test]
        fn any_text_is_judged(text in "(#!/bin/bash\n)?(# kiln [ -~]{0,80})?[\\s\\S]{0,40}", body in "[ -~\n]{1,60}") {
            let _ = Verdict::of(&text, Some(&body)).to_string();
            let script = stamped(&body);
            prop_assert!(Stamp::read(&script).unwrap().intact);
            let more = format!("{script}x");
            prop_assert!(!Stamp::read(&more).unwrap().intact);
            let less = &script[..script.len() - 1];
            prop_assert!(!Stamp::read(less).is_some_and(|stamp| stamp.intact));
        }
    }
}
