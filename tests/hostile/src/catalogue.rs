//! What is tried: the rows of groups A to H, each with its one safe outcome.
//!
//! Tests are named by row (`a1_...`), so a row is found from a test and a test
//! from a row. The words of the outcomes:
//!
//! * **DENY**: the guest gets a typed error; nothing left the host; one record
//!   names the driver, the tenant and the rule, and a counter went up by one.
//! * **KILL**: the call ends with a typed limit near its budget; its store is
//!   gone; the next call on the same driver works; others are not disturbed.
//! * **REJECT**: refused before any guest code runs, with a reason and a remedy.
//! * **CAP**: accepted but cut, marked as cut, counted.
//! * **VOID**: works inside the guest's own world only.

/// One attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its stable name, such as `A1`.
    pub name: &'static str,
    /// What is tried.
    pub attack: &'static str,
    /// The one safe outcome.
    pub outcome: &'static str,
}

impl Row {
    /// How the names of its tests begin.
    #[must_use]
    pub fn prefix(&self) -> String {
        format!("{}_", self.name.to_ascii_lowercase())
    }
}

/// The row of this name.
#[must_use]
pub fn row(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}

/// All rows, in order.
pub const ROWS: &[Row] = &[
    Row {
        name: "A1",
        attack: "Endless loop in describe, measure, adjust (one test each)",
        outcome: "KILL",
    },
    Row {
        name: "A2",
        attack: "Endless loop in the component's start / static constructor, before any export",
        outcome: "KILL during instantiate",
    },
    Row {
        name: "A3",
        attack: "Endless loop in a realloc or post-return function called by the host ABI",
        outcome: "KILL",
    },
    Row {
        name: "A4",
        attack: "Poll on an already-ready handle forever",
        outcome: "KILL",
    },
    Row {
        name: "A5",
        attack: "Sleep or poll with u64::MAX ns; sleep of 0; deadline in the past",
        outcome: "KILL at wall deadline; zero does not panic",
    },
    Row {
        name: "A6",
        attack: "Exponential regex or JSON parse in our host fed by guest output",
        outcome: "our parser is linear and size-capped; call error, canary fine",
    },
    Row {
        name: "A7",
        attack: "64 tenants spin at once on 2 workers while the canary measures",
        outcome: "each spinner KILLed; canary within 2×",
    },
    Row {
        name: "A8",
        attack: "One tenant's deadline expires while 50 others are mid-call on the same engine",
        outcome: "only that one ends",
    },
    Row {
        name: "A9",
        attack: "Ticker thread is delayed 500 ms (stopped by a test hook)",
        outcome: "late KILL, no burst of spurious kills after it resumes",
    },
    Row {
        name: "A10",
        attack: "Per-driver deadline set while the global default is disabled",
        outcome: "still KILL",
    },
    Row {
        name: "B1",
        attack: "memory.grow until refused",
        outcome: "growth refused at the cap, guest may continue or trap; process RSS growth ≤ cap + 10 %",
    },
    Row {
        name: "B2",
        attack: "Component with 30 memories, each just below the cap",
        outcome: "refused at the sum",
    },
    Row {
        name: "B3",
        attack: "Initial memory above the cap",
        outcome: "REJECT or typed instantiate error",
    },
    Row {
        name: "B4",
        attack: "Table grow to millions",
        outcome: "refused, counted in the same budget",
    },
    Row {
        name: "B5",
        attack: "Deep recursion",
        outcome: "KILL (stack trap), no host stack overflow",
    },
    Row {
        name: "B6",
        attack: "Create and never drop 10 M resource handles (fields, pollables, streams)",
        outcome: "KILL at handle cap",
    },
    Row {
        name: "B7",
        attack: "Request with 1 M header fields; one 100 MB header value",
        outcome: "typed error; peak host memory bounded (allocator counter)",
    },
    Row {
        name: "B8",
        attack: "1 GB string or list as measure result",
        outcome: "KILL before the host copies it",
    },
    Row {
        name: "B9",
        attack: "Nested list or record result 10,000 levels deep (as JSON text)",
        outcome: "depth-limited parse error",
    },
    Row {
        name: "B10",
        attack: "Ask for 1 GB random bytes",
        outcome: "typed error or trap, no allocation",
    },
    Row {
        name: "B11",
        attack: "Hold 1,000 half-read response bodies",
        outcome: "connection and byte quotas DENY",
    },
    Row {
        name: "B12",
        attack: "Leak borrows across calls, return a handle already dropped",
        outcome: "typed error; no host panic",
    },
    Row {
        name: "B13",
        attack: "Threads or shared memory in the binary",
        outcome: "REJECT",
    },
    Row {
        name: "B14",
        attack: "GC, exceptions, 64-bit memory features in the binary",
        outcome: "REJECT unless listed in the engine profile",
    },
    Row {
        name: "B15",
        attack: "Duplicate or 10,000 metric names in a result",
        outcome: "typed validation error",
    },
    Row {
        name: "C1",
        attack: "Host not on the list",
        outcome: "DENY",
    },
    Row {
        name: "C2",
        attack: "Right host, other port (:8443), implicit vs explicit default port",
        outcome: "DENY / allowed as default",
    },
    Row {
        name: "C3",
        attack: "Right host, http instead of https",
        outcome: "DENY",
    },
    Row {
        name: "C4",
        attack: "Right host, method not listed; lower-case or invented method",
        outcome: "DENY",
    },
    Row {
        name: "C5",
        attack: "Path outside prefix: /v1evil, /v1/../admin, /v1/%2e%2e/admin, /v1/%2Fadmin, //, \\, ;params, empty",
        outcome: "DENY; matching is by decoded segment, encoded separators refused; what was matched is what is sent",
    },
    Row {
        name: "C6",
        attack: "User info https://allowed@evil/, fragment and backslash tricks",
        outcome: "DENY",
    },
    Row {
        name: "C7",
        attack: "*.example.com against evilexample.com, example.com, a.b.example.com, example.com.evil.io",
        outcome: "only the documented depth matches",
    },
    Row {
        name: "C8",
        attack: "IP spelled as decimal, octal, hex, short form, 0, [::], [::ffff:169.254.169.254], zone id",
        outcome: "DENY",
    },
    Row {
        name: "C9",
        attack: "Allowed name resolves to 127.0.0.1, 10/8, 169.254.169.254, fd00:ec2::254, 100.64/10, ::1, 0.0.0.0, multicast, 198.18/15, 240/4",
        outcome: "DENY, one test per range",
    },
    Row {
        name: "C10",
        attack: "Rebinding: first answer public, second private (TTL 0)",
        outcome: "the vetted address is dialled; private never sees a SYN",
    },
    Row {
        name: "C11",
        attack: "302 / 307 / 308 to metadata, to another tenant's host, to file:",
        outcome: "3xx handed to guest; following it passes the gate → DENY",
    },
    Row {
        name: "C12",
        attack: "CR, LF, NUL in header, path, method",
        outcome: "typed error",
    },
    Row {
        name: "C13",
        attack: "Two content lengths, length + chunked, wrong length, negative",
        outcome: "typed error, connection closed",
    },
    Row {
        name: "C14",
        attack: "HTTP_PROXY-style variables in the host's environment",
        outcome: "ignored",
    },
    Row {
        name: "C15",
        attack: "Upgrade to WebSocket, CONNECT, h2c upgrade",
        outcome: "DENY",
    },
    Row {
        name: "C16",
        attack: "Response bomb: 10 GB stream; 1 MB gzip → 10 GB",
        outcome: "CAP; decompressed size counted; memory flat",
    },
    Row {
        name: "C17",
        attack: "Slow server: one byte per second, headers never end, body never ends",
        outcome: "ends at the call deadline",
    },
    Row {
        name: "C18",
        attack: "10,000 requests in one call; 200 at once",
        outcome: "count and concurrency quota DENY; no descriptor exhaustion",
    },
    Row {
        name: "C19",
        attack: "Server sends 1,000 headers, 1 MB header, bad status, bad chunk, early close, 1xx flood",
        outcome: "typed error, no panic (fuzz target)",
    },
    Row {
        name: "C20",
        attack: "Bad certificate: expired, other name, self-signed, weak; pinned CA mismatch",
        outcome: "DENY with TLS reason; no fallback to plain",
    },
    Row {
        name: "C21",
        attack: "Tenant B asks for a host that tenant A holds an mTLS or keep-alive connection to",
        outcome: "new connection, no client identity",
    },
    Row {
        name: "C22",
        attack: "TLS session resumption or ticket across tenants",
        outcome: "never shared",
    },
    Row {
        name: "C23",
        attack: "Alt-Svc, HTTP/3 hints, DNS HTTPS records that move the port",
        outcome: "ignored",
    },
    Row {
        name: "C24",
        attack: "Retry storm: guest retries a failing endpoint in a loop",
        outcome: "per-rule rate limit, then DENY with retry-after",
    },
    Row {
        name: "D1",
        attack: "Use wasi:sockets in any way: TCP, UDP, name lookup",
        outcome: "DENY by default (the interface may be linked so that std and CPython guests load, but every call is refused and counted)",
    },
    Row {
        name: "D2",
        attack: "Same through an old WASI snapshot name or an adapter module",
        outcome: "DENY, same gate",
    },
    Row {
        name: "D3",
        attack: "DNS exfiltration secret.attacker.example",
        outcome: "no lookup leaves: counting resolver sees 0 queries",
    },
    Row {
        name: "D4",
        attack: "Bind or listen",
        outcome: "REJECT or DENY",
    },
    Row {
        name: "D5",
        attack: "(If sockets are ever enabled) UDP connect, send-to, and connect-then-send to a denied address",
        outcome: "DENY on each of the three",
    },
    Row {
        name: "E1",
        attack: "Scan own memory, env, args, config for a canary secret",
        outcome: "not found in any guest memory dump after the call",
    },
    Row {
        name: "E2",
        attack: "Endpoint echoes request headers back (/anything style)",
        outcome: "value replaced in response headers and body before the guest sees it; audit flag \"echo\"",
    },
    Row {
        name: "E3",
        attack: "Endpoint returns the secret in an error page, a redirect location, a cookie",
        outcome: "scrubbed",
    },
    Row {
        name: "E4",
        attack: "Guest asks for secret by name for another host, another tenant, a name it invented",
        outcome: "DENY; error does not reveal existence",
    },
    Row {
        name: "E5",
        attack: "Turn on trace-level logs and OTLP export, run every E test",
        outcome: "canary string absent from all logs, spans, metrics, audit, core error text",
    },
    Row {
        name: "E6",
        attack: "Signed request (SigV4 style): guest changes a signed header or body after signing",
        outcome: "impossible: signing is last; test byte capture",
    },
    Row {
        name: "E7",
        attack: "Driver reads cloud metadata to get its own credentials",
        outcome: "DENY; message points to host-side signing",
    },
    Row {
        name: "E8",
        attack: "Secret with newline, non-ASCII, 64 KiB; empty secret",
        outcome: "refused at load, never truncated silently",
    },
    Row {
        name: "E9",
        attack: "Rotate or revoke during a call",
        outcome: "next request uses new; no restart; old value dropped from memory",
    },
    Row {
        name: "F1",
        attack: ".., absolute, //, trailing slash, . loops, 10 kB path, NUL, non-UTF-8",
        outcome: "DENY or VOID",
    },
    Row {
        name: "F2",
        attack: "Rename or hard-link across read-only and writable folders, both directions",
        outcome: "DENY",
    },
    Row {
        name: "F3",
        attack: "Open with create, truncate, append, exclusive, directory flags on a read-only grant",
        outcome: "DENY; file bytes and times unchanged",
    },
    Row {
        name: "F4",
        attack: "Fill scratch: many small files, one large, sparse file, deep tree, 1 M inodes",
        outcome: "quota error; host disk untouched",
    },
    Row {
        name: "F5",
        attack: "Keep 100,000 descriptors",
        outcome: "handle cap",
    },
    Row {
        name: "F6",
        attack: "Read env, args, cwd, executable path, process id, hostname, stdin",
        outcome: "empty, fixed or error, snapshot-tested",
    },
    Row {
        name: "F7",
        attack: "Clock: resolution and values",
        outcome: "allowed, but coarse option per policy; deterministic in replay",
    },
    Row {
        name: "F8",
        attack: "Directory listing of a folder with 1 M entries",
        outcome: "paged, capped",
    },
    Row {
        name: "G1",
        attack: "10 GB to stdout or stderr",
        outcome: "CAP; memory and disk flat",
    },
    Row {
        name: "G2",
        attack: "10 M log calls of 1 byte",
        outcome: "CAP by lines and rate",
    },
    Row {
        name: "G3",
        attack: "Guest writes something that looks like the agent's own wire message",
        outcome: "cannot reach the agent's stdout at all",
    },
    Row {
        name: "G4",
        attack: "Result claims success after a limit was hit",
        outcome: "host outcome wins",
    },
    Row {
        name: "G5",
        attack: "Metric label explosion through driver name, error text, host name",
        outcome: "bounded label sets",
    },
    Row {
        name: "H1",
        attack: "Random bytes, truncated file, core module, wrong layer, 0 bytes, 2 GB file",
        outcome: "REJECT, size checked before read",
    },
    Row {
        name: "H2",
        attack: "Component that imports anything outside the world; unknown world version; two exports of ours",
        outcome: "REJECT, lists names",
    },
    Row {
        name: "H3",
        attack: "Compile bomb: one function of 50 MB, 1 M locals, 100 k nested blocks, 1 M types, 32 k data segments",
        outcome: "child killed at limit → REJECT; agent alive",
    },
    Row {
        name: "H4",
        attack: "Compiler child crashes, hangs, writes garbage, writes to another digest's slot",
        outcome: "REJECT, slot stays empty",
    },
    Row {
        name: "H5",
        attack: "Flip one bit of the cached machine code; swap two entries; old engine version; other CPU features; other user's file; symlinked cache folder",
        outcome: "never loaded; recompiled; audit record",
    },
    Row {
        name: "H6",
        attack: "Flip one bit of the cached wasm; replace between hash and compile",
        outcome: "REJECT (same handle is hashed and compiled)",
    },
    Row {
        name: "H7",
        attack: "Tag moved in the registry; digest mismatch; manifest with two wasm layers; extra layers; wrong media type; index pointing to itself",
        outcome: "REJECT or lock says \"changed\"",
    },
    Row {
        name: "H8",
        attack: "Registry redirects to a private address; sends 10 GB; endless pagination; bad auth realm on another host (token theft)",
        outcome: "DENY, caps, credentials never sent to a new host",
    },
    Row {
        name: "H9",
        attack: "Unsigned; wrong key; right key wrong digest; expired certificate; identity github.com/acme-evil; missing log proof",
        outcome: "REJECT, each its own message",
    },
    Row {
        name: "H10",
        attack: "Signature valid for another package name (mix-and-match); downgrade to an older signed version",
        outcome: "REJECT / held for approval",
    },
    Row {
        name: "H11",
        attack: "Archive path traversal, link entries, duplicate names, absolute names in an air-gap bundle",
        outcome: "REJECT",
    },
    Row {
        name: "H12",
        attack: "Custom sections: 500 MB, invalid UTF-8, permission manifest twice, manifest not covered by the signature",
        outcome: "REJECT",
    },
];
