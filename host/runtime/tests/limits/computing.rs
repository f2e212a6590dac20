//! Computing without end, taking memory and tables without end, recursing without end.

use kiln_config::Limits;

use crate::guest::{Guest, repeat};
use crate::world::{World, limits};

const FOREVER: &str = "(loop $forever (br $forever))";

/// Scenario: a loop without end in each of the functions that are called, and in the start function, which nobody calls.
/// Guarantees: the plugin is stopped at its CPU budget, and lets others run until then.
#[tokio::test]
async fn a_loop_is_stopped_wherever_it_is() {
    let start = format!("(func $begin {FOREVER}) (start $begin)");
    for guest in [
        Guest { collect: FOREVER, ..Guest::default() },
        Guest { configure: FOREVER, ..Guest::default() },
        Guest { fields: &start, ..Guest::default() },
    ] {
        let world = World::new().await;
        let witnessed = world.expect(&guest.plugin(), &limits(), "limit_cpu").await;
        assert!(witnessed >= 3, "the other plugin could collect {witnessed} times");
    }
}

/// Scenario: as much computing as the budget allows, and a loop of tail calls, which uses no stack.
/// Guarantees: the first is left alone, the second is stopped.
#[tokio::test]
async fn computing_within_the_budget_is_nobodys_business() {
    let world = World::new().await;
    let guest = Guest { collect: &repeat(1_000_000, ""), ..Guest::default() };
    let instance = world.hostile(&guest.plugin(), &limits()).await;
    world.collect(&instance).await.0.unwrap();
    let guest = Guest { fields: "(func $round (return_call $round))", collect: "(call $round)", ..Guest::default() };
    world.expect(&guest.plugin(), &limits(), "limit_cpu").await;
}

/// Scenario: memory is grown page by page until it cannot be, once by a plugin that then gives up and once by one that
/// does not mind.
/// Guarantees: the first is told to have reached its limit, the second lives on; both are counted, and neither has more.
#[tokio::test]
async fn memory_ends_at_its_limit() {
    let grow = "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))";
    let gives_up = format!("{grow} (unreachable)");
    let world = World::new().await;
    world.expect(&Guest { collect: &gives_up, ..Guest::default() }.plugin(), &limits(), "limit_memory").await;
    assert_eq!(world.of_hostile("kiln_instance_memory_bytes"), 16 << 20);
    assert_eq!(world.of_hostile("kiln_instance_memory_limit_bytes"), 16 << 20);
    let world = World::new().await;
    let instance = world.hostile(&Guest { collect: grow, ..Guest::default() }.plugin(), &limits()).await;
    world.collect(&instance).await.0.unwrap();
    assert_eq!((world.hits("memory"), world.of_hostile("kiln_instance_memory_bytes")), (1, 16 << 20));
}

/// Scenario: a plugin that wants more memory to begin with than it may have.
/// Guarantees: it does not start.
#[tokio::test]
async fn memory_is_limited_from_the_start() {
    let world = World::new().await;
    world.expect(&Guest { pages: 257, ..Guest::default() }.plugin(), &limits(), "limit_memory").await;
}

/// Scenario: a table is grown until it cannot be.
/// Guarantees: all tables together end at their limit.
#[tokio::test]
async fn tables_end_at_their_limit() {
    let world = World::new().await;
    let fields = "(table $one 50000 funcref) (table $two 1 funcref)";
    let collect = "(loop $more (br_if $more
            (i32.ne (table.grow $two (ref.null func) (i32.const 1000)) (i32.const -1))))
        (unreachable)";
    let guest = Guest { fields, collect, ..Guest::default() };
    world.expect(&guest.plugin(), &limits(), "limit_table_elements").await;
}

/// Scenario: a plugin with one table more than it may have.
/// Guarantees: it does not start.
#[tokio::test]
async fn the_number_of_tables_is_limited() {
    let world = World::new().await;
    let fields = "(table 1 funcref)".repeat(17);
    world.expect(&Guest { fields: &fields, ..Guest::default() }.plugin(), &limits(), "limit_tables").await;
}

/// Scenario: a function that calls itself for ever.
/// Guarantees: it ends at the plugin's stack, not at the host's.
#[tokio::test]
async fn recursion_ends_at_the_plugins_own_stack() {
    let world = World::new().await;
    let fields = "(func $down (param i64) (result i64)
        (i64.add (i64.const 1) (call $down (i64.add (local.get 0) (i64.const 1)))))";
    let guest = Guest { fields, collect: "(drop (call $down (i64.const 0)))", ..Guest::default() };
    world.expect(&guest.plugin(), &limits(), "limit_stack").await;
}

/// Scenario: instructions that trap.
/// Guarantees: they are the plugin's end and nobody else's.
#[tokio::test]
async fn a_trap_ends_the_plugin_alone() {
    for collect in [
        "(unreachable)",
        "(drop (i32.div_u (i32.const 1) (i32.const 0)))",
        "(drop (i32.load (i32.const -1)))",
        "(memory.fill (i32.const 0) (i32.const 1) (i32.const -1))",
    ] {
        let world = World::new().await;
        world.expect(&Guest { collect, ..Guest::default() }.plugin(), &limits(), "trap").await;
    }
}

/// Scenario: a trap within functions that have names, and within some that have none.
/// Guarantees: the error says in which, the innermost first and as their author wrote them; or how to get names.
#[tokio::test]
async fn a_trap_says_where_it_happened() {
    let world = World::new().await;
    let failure = async |guest: Guest<'_>| {
        let instance = world.hostile(&guest.plugin(), &limits()).await;
        world.collect(&instance).await.0.map(|_| ()).unwrap_err().to_string()
    };
    let fields = "(func $_ZN6orders5parse17h0123456789abcdefE (unreachable))
        (func $read_page (call $_ZN6orders5parse17h0123456789abcdefE))";
    let error = failure(Guest { fields, collect: "(call $read_page)", ..Guest::default() }).await;
    assert!(error.contains("instruction executed in orders::parse < read_page; this is a fault"), "{error}");
    let error = failure(Guest { collect: "(unreachable)", ..Guest::default() }).await;
    assert!(error.contains("(its file has no names of functions: "), "{error}");
}

/// Scenario: a plugin that holds four mebibytes of eight asks for more than there are.
/// Guarantees: the error says what it may have, had and wanted, and the key that gives it more.
#[tokio::test]
async fn a_plugin_without_memory_is_told_what_it_had_and_wanted() {
    let world = World::new().await;
    let grow = "(if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then (unreachable)))";
    let limits = Limits { memory: 8 << 20, ..limits() };
    let instance = world.hostile(&Guest { collect: grow, ..Guest::default() }.plugin(), &limits).await;
    let error = world.collect(&instance).await.0.map(|_| ()).unwrap_err().to_string();
    let said = "needs more than 8388608 bytes of memory and was stopped: it held 4194304 and asked for 6553600 more";
    assert!(error.contains(said) && error.contains("raise `limits.memory`"), "{error}");
}
