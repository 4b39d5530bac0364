//! What the schemas of the files do not say: default, unit and an example.

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name.
    pub key: &'static str,
    /// What holds without it; `required` where it must be written.
    pub default: &'static str,
    /// The unit of its value, or its form.
    pub unit: &'static str,
    /// The key with a value, as it may be written.
    pub example: &'static str,
}

/// The keys of one mapping.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// Where it stands.
    pub place: &'static str,
    /// Where its schema stands in that of its file.
    pub schema: &'static str,
    /// Its keys, in the order in which people need them.
    pub rows: &'static [Row],
}

const fn row(
    key: &'static str,
    default: &'static str,
    unit: &'static str,
    example: &'static str,
) -> Row {
    Row {
        key,
        default,
        unit,
        example,
    }
}

const NETWORKS: &str = "networks: { office: [10.20.0.0/16] }";

/// The mappings of the operator's files, down to grants and ceilings.
pub const FILES: &[Section] = &[
    Section {
        place: "servo.yaml",
        schema: "",
        rows: &[
            row(
                "drivers",
                "required",
                "",
                "drivers: { measure: { source: ./ab.wasm } }",
            ),
            row(
                "optune",
                "options of the command line",
                "",
                "optune: { account: shop, app: web }",
            ),
            row("networks", "none", "networks by name", NETWORKS),
            row("ceiling", "none", "", "ceiling: { credentials: false }"),
        ],
    },
    Section {
        place: "optune",
        schema: "",
        rows: &[
            row(
                "url",
                "that of the hosted service",
                "a URL",
                "url: \"https://optune.example/shop/apps/web/\"",
            ),
            row("account", "none", "", "account: shop"),
            row("app", "that of the command line", "", "app: web"),
            row("token_file", "none", "a path", "token_file: ./token"),
        ],
    },
    Section {
        place: "drivers",
        schema: "",
        rows: &[
            row("measure", "none", "", "measure: { source: ./ab.wasm }"),
            row("adjust", "none", "", "adjust: { source: ./http.wasm }"),
        ],
    },
    Section {
        place: "drivers.measure, drivers.adjust",
        schema: "",
        rows: &[
            row(
                "source",
                "`measure` or `adjust` in the working directory",
                "a path",
                "source: ./http.wasm",
            ),
            row(
                "config",
                "empty",
                "keys of the driver's own",
                "config: { endpoint: \"http://a.example/settings\" }",
            ),
            row(
                "grants",
                "nothing is granted",
                "",
                "grants: { http: [{ rule: \"GET https://a.example/\" }] }",
            ),
        ],
    },
    Section {
        place: "the file of --ceiling",
        schema: "",
        rows: &[
            row(
                "ceiling",
                "required",
                "as in `servo.yaml`",
                "ceiling: { credentials: false }",
            ),
            row("networks", "none", "networks by name", NETWORKS),
        ],
    },
];

/// The mappings of `driver.toml`. The keys of `asks.limits` are the limits.
pub const DRIVER_TOML: &[Section] = &[
    Section {
        place: "driver.toml",
        schema: "",
        rows: &[
            row(
                "name",
                "required",
                "at most 63 characters",
                "name = \"http\"",
            ),
            row(
                "version",
                "required",
                "MAJOR.MINOR.PATCH",
                "version = \"1.0.0\"",
            ),
            row("kind", "required", "", "kind = \"adjust\""),
            row(
                "description",
                "required",
                "at most 200 characters",
                "description = \"Adjusts the shop.\"",
            ),
            row("cancel", "`none`", "", "cancel = \"step\""),
            row("recover", "`false`", "", "recover = true"),
            row(
                "world",
                "that of the build",
                "a contract",
                "world = \"servo:driver@0.2.0\"",
            ),
            row("asks", "nothing", "", "asks.limits.memory = \"128MiB\""),
        ],
    },
    Section {
        place: "asks",
        schema: "/$defs/Asks",
        rows: &[
            row(
                "http",
                "none",
                "at most 64",
                "http = [{ rule = \"GET ${config.endpoint}/\", why = \"reads it\" }]",
            ),
            row(
                "folder",
                "none",
                "at most 16",
                "folder = [{ name = \"logs\", access = \"read\", why = \"reads them\" }]",
            ),
            row(
                "limits",
                "the usual ones",
                "see [Limits](#limits)",
                "limits = { memory = \"128MiB\" }",
            ),
        ],
    },
    Section {
        place: "[[asks.http]]",
        schema: "/$defs/HttpAsk",
        rows: &[
            row(
                "rule",
                "required",
                "methods and URL",
                "rule = \"GET,PUT ${config.endpoint}\"",
            ),
            row(
                "why",
                "required",
                "at most 200 characters",
                "why = \"reads and writes the settings\"",
            ),
            row("optional", "`false`", "", "optional = true"),
            row("credential", "none", "", "credential = \"bearer\""),
            row(
                "headers",
                "the harmless ones",
                "names, at most 32",
                "headers = [\"x-scope-orgid\"]",
            ),
            row("reads", "`false`", "", "reads = true"),
        ],
    },
    Section {
        place: "[[asks.folder]]",
        schema: "/$defs/FolderAsk",
        rows: &[
            row(
                "name",
                "required",
                "at most 63 characters",
                "name = \"logs\"",
            ),
            row("access", "required", "", "access = \"write\""),
            row(
                "why",
                "required",
                "at most 200 characters",
                "why = \"keeps its reports\"",
            ),
            row("optional", "`false`", "", "optional = true"),
        ],
    },
];
