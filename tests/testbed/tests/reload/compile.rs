//! Plugins that cost a compiler more than they should: it is stopped, and nobody else notices.

use std::fs;

use crate::bomb;
use crate::stage::{Configuration, Stage, assert_steady, guest, starts, until};

/// The steady plugin and an attacker.
fn with_attacker(stage: &Stage, service: &str) -> Configuration {
    let steady = Configuration::steady(&stage.sink);
    Configuration {
        receivers: format!("{}  attacker: {{}}\n", steady.receivers),
        received: "[attacker, steady]".to_owned(),
        service: service.to_owned(),
        ..steady
    }
}

fn peak_memory_mib(stage: &Stage) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", stage.kiln().id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}

/// Scenario: a plugin that needs far more memory to compile than it may have comes with a reload, and is there at a start.
/// Guarantees: the compiler ends, the reload is refused, the instance does not start; the class of the error and the metric
/// name the limit; the process itself has not grown, and the neighbour collects all the while.
#[test]
fn a_compiler_that_wants_too_much_memory_is_stopped() {
    let mut stage = Stage::new();
    let service = "  limits: { compile_memory: 300MiB }\n";
    let mut alone = Configuration::steady(&stage.sink);
    alone.service = service.to_owned();
    let both = with_attacker(&stage, service);
    stage.start(&alone);
    stage.put("attacker", &bomb::hungry("attacker"));
    stage.configure(&both);
    let ended = stage.reload();
    assert!(ended.contains("does not compile within 300 MiB of memory"), "{ended}");
    assert!(ended.contains("`service.limits.compile_memory`"), "{ended}");
    assert_eq!(stage.metric("kiln_loading_limit_hits_total{limit=\"compile_memory\"}"), 1.0);
    assert_eq!(stage.metric("kiln_compilations_total{outcome=\"limit\"}"), 1.0);
    assert!(peak_memory_mib(&stage) < 200, "{} MiB", peak_memory_mib(&stage));
    let telemetry = stage.stop();
    assert_steady(&telemetry);
    assert_eq!(starts(&telemetry), 1);

    stage.start(&both);
    stage.says("error.type=\"limit_compile_memory\"");
    assert!(stage.page("/readyz").contains("receiver attacker: broken: plugin `attacker` does not compile within"));
    stage.collects("kiln.steady", 3);
    stage.stop();
}

/// Scenario: a plugin that takes far longer to compile than it may.
/// Guarantees: the same.
#[test]
fn a_compiler_that_takes_too_long_is_stopped() {
    let mut stage = Stage::new();
    let service = "  limits: { compile_time: 2s, compile_memory: 4GiB }\n";
    let mut alone = Configuration::steady(&stage.sink);
    alone.service = service.to_owned();
    stage.start(&alone);
    stage.put("attacker", &bomb::slow("attacker"));
    stage.configure(&with_attacker(&stage, service));
    let ended = stage.reload();
    assert!(ended.contains("does not compile within 2s") && ended.contains("`service.limits.compile_time`"), "{ended}");
    assert_eq!(stage.metric("kiln_loading_limit_hits_total{limit=\"compile_time\"}"), 1.0);
    until("the compiler is gone", || bomb::compilers_of(stage.kiln().id()) == 0);
    let telemetry = stage.stop();
    assert_steady(&telemetry);
    assert_eq!(starts(&telemetry), 1);
}

/// Scenario: a compiler at work, of a Kiln that has secrets in its environment and files open.
/// Guarantees: it has three pipes and no other file, and nothing in its environment but how many threads it may have.
#[test]
fn a_compiler_is_given_nothing_but_the_plugin() {
    let mut stage = Stage::new();
    let service = "  limits: { compile_time: 20s, compile_memory: 4GiB }\n";
    let mut alone = Configuration::steady(&stage.sink);
    alone.service = service.to_owned();
    stage.start(&alone);
    stage.put("attacker", &bomb::slow("attacker"));
    stage.configure(&with_attacker(&stage, service));
    stage.kiln().signal("HUP").unwrap();
    let mut found = None;
    while found.is_none() {
        found = bomb::surroundings(stage.kiln().id()).filter(|(files, _)| files.len() == 3);
        assert!(!stage.kiln().stderr().text().contains("reload refused"), "the compiler was not seen");
    }
    let (files, environment) = found.unwrap();
    assert_eq!(files, ["pipe", "pipe", "pipe"]);
    assert_eq!(environment, "RAYON_NUM_THREADS=2");
    assert_steady(&stage.stop());
}

/// Scenario: Kiln is started twice with a cache, and once more with one that has no room for the plugin.
/// Guarantees: the second time nothing is compiled; the third time it is, and Kiln runs all the same.
#[test]
fn what_was_compiled_is_kept_as_far_as_there_is_room() {
    let mut stage = Stage::new();
    let mut configuration = Configuration::steady(&stage.sink);
    let compilations = |stage: &Stage| {
        let of = |outcome| stage.metric(&format!("kiln_compilations_total{{outcome=\"{outcome}\"}}"));
        (of("compiled"), of("cached"))
    };
    stage.start(&configuration);
    assert_eq!(compilations(&stage), (1.0, 0.0));
    assert!(stage.metric("kiln_cache_bytes") > 100_000.0);
    stage.stop();
    stage.start(&configuration);
    assert_eq!(compilations(&stage), (0.0, 1.0));
    stage.stop();
    // The misbehaving one is larger than what is left of the smallest cache there can be.
    configuration.service = "  limits: { cache_bytes: 1MiB }\n".to_owned();
    configuration.received = "[misbehaving, steady]".to_owned();
    configuration.receivers.push_str("  misbehaving: { mode: ok, endpoint: \"https://granted.example\" }\n");
    stage.put("misbehaving", &guest("misbehaving"));
    stage.start(&configuration);
    assert!(stage.metric("kiln_cache_bytes") <= 1_048_576.0);
    assert_eq!(stage.metric("kiln_cache_limit_bytes"), 1_048_576.0);
    stage.stop();
}
