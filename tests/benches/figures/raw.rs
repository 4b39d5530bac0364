//! The engine with nothing of ours around it: what a driver call would cost if
//! there were no grants, budgets, meters and checks.
//!
//! Settings of engine and pool are those of the sandbox, so that both run the
//! same machine code in the same kind of slot. Imports that a no-op does not
//! call are stubs; that costs an instantiation the same as real ones.

use servo_sandbox::measure::GuestIndices;
use servo_sandbox::model::Metric;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView,
};

const SLOTS: u32 = 64;

/// The data of a store.
struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    hooks: NoRequests,
}

/// No request is sent from here.
struct NoRequests;

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Io), Error>;

impl WasiHttpHooks for NoRequests {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Io,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// A measure driver, compiled and linked.
pub(crate) struct Raw {
    engine: Engine,
    pre: InstancePre<State>,
    exports: GuestIndices,
}

impl Raw {
    pub(crate) fn new(component: &[u8]) -> Self {
        let engine = engine();
        let component = Component::new(&engine, component).unwrap();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
        stubs(&engine, &component, &mut linker);
        let pre = linker.instantiate_pre(&component).unwrap();
        Self {
            exports: GuestIndices::new(&pre).unwrap(),
            engine,
            pre,
        }
    }

    /// Store, instance, `describe`, drop.
    pub(crate) async fn describe(&self) -> Vec<Metric> {
        let state = State {
            wasi: WasiCtx::builder().build(),
            table: ResourceTable::new(),
            http: WasiHttpCtx::new(),
            hooks: NoRequests,
        };
        let mut store = Store::new(&self.engine, state);
        store.set_epoch_deadline(u64::MAX / 2);
        let instance = self.pre.instantiate_async(&mut store).await.unwrap();
        let guest = self.exports.load(&mut store, &instance).unwrap();
        guest
            .call_describe(&mut store, "app")
            .await
            .unwrap()
            .unwrap()
    }
}

/// The interfaces of `servo:driver`: an empty configuration, and traps.
fn stubs(engine: &Engine, component: &Component, linker: &mut Linker<State>) {
    for (name, import) in component.component_type().imports(engine) {
        let ComponentItem::ComponentInstance(interface) = import.ty else {
            continue;
        };
        if !name.starts_with("servo:driver/") {
            continue;
        }
        let mut instance = linker.instance(name).unwrap();
        for (function, export) in interface.exports(engine) {
            if !matches!(export.ty, ComponentItem::ComponentFunc(_)) {
                continue;
            }
            if name.starts_with("servo:driver/config@") {
                instance
                    .func_wrap(function, |_, ()| Ok(("{}".to_owned(),)))
                    .unwrap();
            } else {
                instance
                    .func_new(function, |_, _, _, _| Err(wasmtime::Error::msg("a stub")))
                    .unwrap();
            }
        }
    }
}

/// An engine with the sandbox's settings (`engine.rs` there gives the reasons).
pub(crate) fn engine() -> Engine {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(512 << 10)
        .async_stack_size(1 << 20)
        .async_stack_zeroing(true)
        .memory_guaranteed_dense_image_size(4 << 20)
        .memory_may_move(false)
        .gc_support(false)
        .wasm_gc(false)
        .wasm_function_references(false)
        .wasm_exceptions(false)
        .wasm_threads(false)
        .wasm_memory64(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(SLOTS)
        .max_component_instance_size(1 << 20)
        .max_core_instances_per_component(16)
        .max_memories_per_component(2)
        .max_tables_per_component(8)
        .total_core_instances(4 * SLOTS)
        .max_core_instance_size(256 << 10)
        .total_memories(SLOTS)
        .max_memory_size(512 << 20)
        .total_tables(2 * SLOTS)
        .table_elements(20_000)
        .max_tables_per_module(4)
        .total_stacks(SLOTS)
        .max_unused_warm_slots(16)
        .linear_memory_keep_resident(64 << 10)
        .table_keep_resident(4 << 10)
        .async_stack_keep_resident(16 << 10);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config).unwrap()
}
