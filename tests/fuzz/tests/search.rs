//! A short search for bytes that break a promise: what is in the corpus, and then less and less like it.
//!
//! `KILN_FUZZ_SECONDS` says how long each promise is searched for. The same seconds find the same on the same machine,
//! more or less: what is tried, and in which order, depends on nothing but the corpus.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use kiln_fuzz::Promise;

/// What a run of all tests can spare for each.
const SECONDS: u64 = 2;

/// Nothing anybody brings may keep Kiln busy for longer.
const LONGEST: Duration = Duration::from_secs(5);

/// Inputs are cut to this.
const MAX_BYTES: usize = 16 * 1024;

/// Pieces that mean something to somebody.
const WORDS: [&[u8]; 34] = [
    b"\0asm\x01\0\0\0",
    b"\0asm\x0d\0\x01\0",
    b"\xff\xff\xff\xff\x0f",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
    b"\0\x0dkiln:manifest",
    b"kiln:plugin/http@0.1.0",
    b"[requests.state]\nreason = \"r\"\n",
    b"[[requests.http]]\norigin = \"https://a.example\"\nmethods = [\"GET\"]\npaths = [\"/*\"]\nreason = \"r\"\n",
    b"origin = \"${config.a}\"\n",
    b"credential = \"${config.b}\"\n",
    b"[config.properties.a]\n",
    b"\"$ref\" = \"#/properties/a\"\n",
    b"pattern = \"(a+)+$\"\n",
    b"${env:A}",
    b"${env:UNSET}",
    b"${env:UNSET:-x}",
    b"${",
    b"$${",
    b"}",
    b"&a ",
    b"*a",
    b"<<: *a\n",
    b"? ",
    b": ",
    b"\n  ",
    b"\n- ",
    b"{ ",
    b"[ ",
    b"|\n ",
    b"!!binary ",
    b"\t",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"\xe2\x80\xae",
];

/// Marsaglia's xorshift, so that every run is the same.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    fn mutate(&mut self, input: &mut Vec<u8>, other: &[u8]) {
        let at = self.below(input.len() + 1);
        let end = at + self.below((input.len() - at).min(40) + 1);
        match self.below(7) {
            0 => drop(input.drain(at..end)),
            1 => drop(input.splice(at..at, WORDS[self.below(WORDS.len())].iter().copied())),
            2 => input[at..end].iter_mut().take(1).for_each(|byte| *byte = byte.wrapping_add(1)),
            3 => {
                let bit = 1 << self.below(8);
                input[at..end].iter_mut().take(1).for_each(|byte| *byte ^= bit);
            }
            4 => {
                let times = 2 + self.below(60);
                drop(input.splice(at..end, input[at..end].repeat(times)));
            }
            5 => {
                let random = u8::try_from(self.below(256)).unwrap();
                input[at..end].iter_mut().for_each(|byte| *byte = random);
            }
            _ => {
                let from = self.below(other.len() + 1);
                let to = (from + self.below(200)).min(other.len());
                drop(input.splice(at..at, other[from..to].to_vec()));
            }
        }
        input.truncate(MAX_BYTES);
    }
}

fn here() -> PathBuf {
    Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).to_owned()
}

fn files_in(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.is_file());
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// A promise is kept, and soon; whoever breaks it is left where the message says.
fn keep(name: &str, promise: Promise, input: &[u8]) {
    let began = Instant::now();
    let kept = catch_unwind(AssertUnwindSafe(|| promise(input))).is_ok();
    let took = began.elapsed();
    if !kept || took > LONGEST {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("broken-{name}"));
        fs::write(&path, input).unwrap();
        panic!("{name} does not hold (or took {took:?}): mend it, and add {} to the corpus", path.display());
    }
}

fn search(name: &str, more_seeds: Vec<Vec<u8>>) {
    let (_, promise) = *kiln_fuzz::PROMISES.iter().find(|(known, _)| *known == name).unwrap();
    let mut seeds = files_in(&here().join("libfuzzer/corpus").join(name));
    seeds.extend(more_seeds);
    seeds.iter().for_each(|seed| keep(name, promise, seed));
    let seconds = std::env::var("KILN_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let (began, time) = (Instant::now(), Duration::from_secs(seconds.unwrap_or(SECONDS)));
    let mut dice = Dice(0x5eed);
    let mut tries: u64 = 0;
    while began.elapsed() < time {
        let (mut input, other) = (seeds[dice.below(seeds.len())].clone(), &seeds[dice.below(seeds.len())]);
        for _ in 0..=dice.below(5) {
            dice.mutate(&mut input, other);
        }
        keep(name, promise, &input);
        tries += 1;
    }
    #[allow(clippy::print_stdout, reason = "how thorough the search was")]
    {
        println!("{name}: {} seeds, {tries} tries in {:?}", seeds.len(), began.elapsed());
    }
}

/// Shapes of components that a mutation may turn into others.
const COMPONENTS: [&str; 8] = [
    "(component)",
    "(module)",
    "(component (core module (memory 1) (func (export \"a\"))))",
    "(component (component (component (component))))",
    "(component (import \"kiln:plugin/log@0.1.0\" (instance)))",
    "(component (import \"kiln:plugin/http@0.1.0\" (instance)) (import \"wasi:io/poll@0.2.0\" (instance)))",
    "(component (core module $m (func (export \"configure\")) (func (export \"collect\"))) (core instance $i (instantiate $m)) \
     (func (export \"configure\") (canon lift (core func $i \"configure\"))) \
     (func (export \"collect\") (canon lift (core func $i \"collect\"))))",
    "(component (type (func (param \"a\" (list (list string))))) (type (resource (rep i32))) \
     (import \"a\" (type (sub resource))))",
];

const MANIFEST: &str =
    "name = \"a\"\nversion = \"1\"\nkind = \"receiver\"\ndescription = \"d\"\nlicense = \"l\"\nwit = \"0.1\"\n";

fn with_manifest(mut component: Vec<u8>) -> Vec<u8> {
    let mut body = vec![13];
    body.extend_from_slice(b"kiln:manifest");
    body.extend_from_slice(MANIFEST.as_bytes());
    component.push(0);
    component.push(u8::try_from(body.len() & 0x7f).unwrap() | 0x80);
    component.push(u8::try_from(body.len() >> 7).unwrap());
    component.extend(body);
    component
}

#[test]
fn any_file_is_a_plugin_or_is_refused() {
    let components = COMPONENTS.iter().map(|text| wat::parse_str(text).unwrap());
    let seeds = components.flat_map(|component| [with_manifest(component.clone()), component]).collect();
    search("loader", seeds);
}

#[test]
fn any_manifest_is_read_or_refused_and_grants_nothing() {
    let plugins = here().join("../../plugins");
    let manifests = fs::read_dir(plugins).unwrap().map(|entry| entry.unwrap().path().join("plugin.toml"));
    let mut manifests: Vec<_> = manifests.filter(|path| path.is_file()).collect();
    manifests.sort();
    search("manifest", manifests.iter().map(|path| fs::read(path).unwrap()).collect());
}

#[test]
fn any_configuration_is_read_or_refused_and_shows_no_secret() {
    let cases = here().join("../cases");
    let mut cases: Vec<_> = fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path().join("kiln.yaml")).collect();
    cases.retain(|path| path.is_file());
    cases.sort();
    search("configuration", cases.iter().map(|path| fs::read(path).unwrap()).collect());
}

#[test]
fn a_request_is_allowed_only_if_it_is_covered() {
    search("origins", random_seeds());
}

#[test]
fn records_read_back_as_what_they_were() {
    search("records", random_seeds());
}

#[test]
fn no_line_shows_a_secret() {
    search("redaction", random_seeds());
}

/// For promises whose bytes are choices, any are as good as any others.
fn random_seeds() -> Vec<Vec<u8>> {
    let mut dice = Dice(0xd1ce);
    (0..64).map(|_| (0..600).map(|_| u8::try_from(dice.below(256)).unwrap()).collect()).collect()
}

#[test]
fn every_promise_is_searched_by_the_fuzzer_too() {
    for (name, _) in kiln_fuzz::PROMISES {
        let target = here().join(format!("libfuzzer/fuzz_targets/{name}.rs"));
        let text = fs::read_to_string(&target).unwrap_or_else(|error| panic!("{}: {error}", target.display()));
        assert!(text.contains(&format!("kiln_fuzz::{name}")), "{name}");
        assert!(
            fs::read_to_string(here().join("libfuzzer/Cargo.toml")).unwrap().contains(&format!("name = \"{name}\""))
        );
    }
}
