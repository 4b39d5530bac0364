//! The whole grammar of grants and ceilings as data, for a printed reference.
//!
//! What a key is and what it means stands where it is parsed: in its type and its
//! doc comment, which the schema carries. Here stands what a schema does not say:
//! the default in words, the unit, and an example. Tests read every example with
//! the parser and compare the keys with the schema in both directions, so that a
//! key cannot be added without a line here, and no line outlives its key.

use schemars::{JsonSchema, Schema, schema_for};
use serde_json::Value;

use crate::credential::{BasicSpec, HeaderSpec, OAuth2Spec, SigV4Spec};
use crate::{
    ActionSpec, CeilingSpec, ClientCertificateSpec, FolderCeilingSpec, FolderSpec, GrantsSpec,
    HttpCeilingSpec, HttpGrantSpec, RuleLimitsSpec, SecretSpec, SettingCeilingSpec,
};

/// A part of the grammar of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RulePart {
    /// What it is called.
    pub name: &'static str,
    /// How it is written, and what that means.
    pub meaning: &'static str,
    /// Rules with it.
    pub examples: &'static [&'static str],
}

/// The grammar of rules, part by part, in the order of a rule.
pub const RULE_GRAMMAR: &[RulePart] = &[
    RulePart {
        name: "methods",
        meaning: "one or more of GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS, in upper case, joined by \
                  commas; then one space. There is no word for all of them.",
        examples: &["GET http://a.example/", "GET,PUT http://a.example/settings"],
    },
    RulePart {
        name: "scheme",
        meaning: "`http://` or `https://`, in lower case.",
        examples: &["GET https://a.example/"],
    },
    RulePart {
        name: "host: a name",
        meaning: "that host alone; in ASCII, names beyond it as punycode.",
        examples: &["GET https://api.example.com/"],
    },
    RulePart {
        name: "host: `*.` and a name",
        meaning: "any host of exactly one label before that name.",
        examples: &["GET https://*.example.com/"],
    },
    RulePart {
        name: "host: an address",
        meaning: "that address in its plain form, IPv6 in brackets; no name, whatever it resolves to.",
        examples: &["GET http://10.1.2.3/", "GET http://[2001:db8::1]/"],
    },
    RulePart {
        name: "host: a network in braces",
        meaning: "any address in it, and no name. Not wider than /8 (IPv6: /16).",
        examples: &["GET http://{10.20.0.0/16}:8080/metrics"],
    },
    RulePart {
        name: "port",
        meaning: "a colon and a number; without it the scheme's own, 80 or 443.",
        examples: &["GET https://a.example:8443/"],
    },
    RulePart {
        name: "path",
        meaning: "that path alone. Never left out; no query.",
        examples: &["GET https://a.example/v1/status"],
    },
    RulePart {
        name: "path: a slash at the end",
        meaning: "everything below it, the path with its slash too; `/` alone is the whole host.",
        examples: &["GET https://a.example/v1/", "GET https://a.example/"],
    },
    RulePart {
        name: "path: `*`",
        meaning: "exactly one segment that is not empty. Any other star is an error; the character is \
                  written `%2A`.",
        examples: &[
            "GET https://a.example/v1/*/status",
            "GET https://a.example/*/x/",
        ],
    },
    RulePart {
        name: "`${config.key}`",
        meaning: "the value of that key in the driver's `config`: at the beginning of the URL a whole URL, \
                  elsewhere a text without `/ \\ ? # @ %`.",
        examples: &[
            "GET ${config.endpoint}/metrics",
            "GET http://${config.host}:${config.port}/metrics",
        ],
    },
];

/// One key, as its section lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    key: &'static str,
    default: &'static str,
    unit: &'static str,
    example: &'static str,
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

/// A key for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyReference {
    /// Its name.
    pub key: &'static str,
    /// What it is, in the words of the parser's own type: one or two sentences.
    pub meaning: String,
    /// What holds without it; `required` where it must be written.
    pub default: &'static str,
    /// The unit of its value, or its form; empty where there is nothing to say.
    pub unit: &'static str,
    /// The key with a value, as it may be written.
    pub example: &'static str,
}

/// The keys of one mapping.
#[derive(Clone, Copy, Debug)]
pub struct KeySection {
    /// Where it stands, such as `grants.http[]`.
    pub place: &'static str,
    /// Keys that it cannot do without, for examples: a line of YAML, or nothing.
    pub needs: &'static str,
    rows: &'static [Row],
    schema: fn() -> Schema,
}

fn schema_of<T: JsonSchema>() -> Schema {
    schema_for!(T)
}

impl KeySection {
    /// Its keys, in the order in which people need them.
    pub fn keys(&self) -> Vec<KeyReference> {
        let schema = (self.schema)();
        let rows = self.rows.iter().map(|row| KeyReference {
            key: row.key,
            meaning: meaning(&schema, row.key).unwrap_or_default(),
            default: row.default,
            unit: row.unit,
            example: row.example,
        });
        rows.collect()
    }

    /// The schema by which it is read.
    pub fn schema(&self) -> Schema {
        (self.schema)()
    }
}

/// What the doc comment of a key says, on one line.
fn meaning(schema: &Schema, key: &str) -> Option<String> {
    let text = schema.get("properties")?.get(key)?.get("description")?;
    Some(Value::as_str(text)?.replace('\n', " "))
}

const SECRET: &str = "`{ file: .. }`, `{ env: .. }` or `{ command: [..] }`";

/// Every mapping of grants and ceilings. The keys of `limits` are those of
/// [`crate::Budget::describe`].
pub const KEY_SECTIONS: &[KeySection] = &[
    KeySection {
        place: "grants",
        needs: "",
        schema: schema_of::<GrantsSpec>,
        rows: &[
            row(
                "http",
                "none",
                "a list of rules",
                "http: [{ rule: \"GET https://a.example/\" }]",
            ),
            row(
                "folders",
                "none",
                "a list",
                "folders: [{ name: out, path: ./out, access: write }]",
            ),
            row(
                "scratch",
                "none",
                "a size: B, KiB, MiB, GiB",
                "scratch: 16MiB",
            ),
            row(
                "actions",
                "none",
                "by name",
                "actions: { say: { run: [/bin/echo, hello] } }",
            ),
            row(
                "limits",
                "the usual ones",
                "see `servo limits`",
                "limits: { memory: 128MiB, cpu: 10s }",
            ),
        ],
    },
    KeySection {
        place: "grants.http[]",
        needs: "rule: \"GET,POST https://a.example/v1/\"",
        schema: schema_of::<HttpGrantSpec>,
        rows: &[
            row(
                "rule",
                "required",
                "methods and URL",
                "rule: \"GET https://a.example/v1/\"",
            ),
            row("private", "false", "", "private: true"),
            row(
                "networks",
                "none",
                "names or networks",
                "networks: [10.20.0.0/16]",
            ),
            row(
                "headers",
                "the harmless ones",
                "names",
                "headers: [x-scope-orgid]",
            ),
            row("reads", "false", "", "reads: true"),
            row(
                "redirects",
                "none",
                "none or same-origin",
                "redirects: same-origin",
            ),
            row(
                "limits",
                "those of the call",
                "",
                "limits: { rate: 10/s, concurrency: 2 }",
            ),
            row("ca", "the system's", "a file in PEM", "ca: ./ca.pem"),
            row("bearer", "none", SECRET, "bearer: { file: ./token }"),
            row(
                "basic",
                "none",
                "",
                "basic: { user: servo, password: { file: ./password } }",
            ),
            row(
                "header",
                "none",
                "",
                "header: { name: x-api-key, secret: { env: API_KEY } }",
            ),
            row(
                "sigv4",
                "none",
                "",
                "sigv4: { service: aps, region: eu-central-1, access_key_id: { env: ID }, \
                 secret_access_key: { env: KEY } }",
            ),
            row(
                "oauth2",
                "none",
                "",
                "oauth2: { token_url: \"https://id.example/token\", client_id: servo, \
                 client_secret: { file: ./secret } }",
            ),
            row(
                "client_certificate",
                "none",
                "",
                "client_certificate: { certificate: ./servo.pem, key: ./servo.key }",
            ),
            row("plaintext", "false", "", "plaintext: true"),
        ],
    },
    KeySection {
        place: "grants.http[].limits",
        needs: "",
        schema: schema_of::<RuleLimitsSpec>,
        rows: &[
            row(
                "rate",
                "`request_rate` of the call",
                "requests in s, m or h",
                "rate: 100/s",
            ),
            row(
                "concurrency",
                "that of the call",
                "requests",
                "concurrency: 2",
            ),
            row(
                "request_bytes",
                "that of the call",
                "a size",
                "request_bytes: 64KiB",
            ),
            row(
                "response_bytes",
                "that of the call",
                "a size",
                "response_bytes: 1MiB",
            ),
            row(
                "decompressed_bytes",
                "nothing is decompressed",
                "a size",
                "decompressed_bytes: 64MiB",
            ),
            row(
                "time",
                "`request_time` of the call",
                "a time: ms, s, m, h",
                "time: 5s",
            ),
        ],
    },
    KeySection {
        place: "a secret",
        needs: "",
        schema: schema_of::<SecretSpec>,
        rows: &[
            row("file", "one of the three", "a path", "file: ./token"),
            row("env", "one of the three", "a variable", "env: API_TOKEN"),
            row(
                "command",
                "one of the three",
                "a program and arguments",
                "command: [/usr/bin/pass, show, shop]",
            ),
        ],
    },
    KeySection {
        place: "grants.http[].basic",
        needs: "user: servo\npassword: { env: PASSWORD }",
        schema: schema_of::<BasicSpec>,
        rows: &[
            row("user", "required", "", "user: servo"),
            row(
                "password",
                "required",
                SECRET,
                "password: { file: ./password }",
            ),
        ],
    },
    KeySection {
        place: "grants.http[].header",
        needs: "name: x-api-key\nsecret: { env: API_KEY }",
        schema: schema_of::<HeaderSpec>,
        rows: &[
            row("name", "required", "", "name: x-api-key"),
            row("template", "`{secret}`", "", "template: \"Token {secret}\""),
            row("secret", "required", SECRET, "secret: { env: API_KEY }"),
        ],
    },
    KeySection {
        place: "grants.http[].sigv4",
        needs: "service: aps\nregion: eu-central-1\naccess_key_id: { env: ID }\n\
                secret_access_key: { env: KEY }",
        schema: schema_of::<SigV4Spec>,
        rows: &[
            row("service", "required", "", "service: aps"),
            row("region", "required", "", "region: eu-central-1"),
            row(
                "access_key_id",
                "required",
                SECRET,
                "access_key_id: { env: AWS_ACCESS_KEY_ID }",
            ),
            row(
                "secret_access_key",
                "required",
                SECRET,
                "secret_access_key: { file: ./aws-key }",
            ),
            row(
                "session_token",
                "none",
                SECRET,
                "session_token: { file: ./aws-session }",
            ),
        ],
    },
    KeySection {
        place: "grants.http[].oauth2",
        needs: "token_url: \"https://id.example/token\"\nclient_id: servo\n\
                client_secret: { env: SECRET }",
        schema: schema_of::<OAuth2Spec>,
        rows: &[
            row(
                "token_url",
                "required",
                "a URL",
                "token_url: \"https://id.example/token\"",
            ),
            row("client_id", "required", "", "client_id: servo"),
            row(
                "client_secret",
                "required",
                SECRET,
                "client_secret: { file: ./secret }",
            ),
            row(
                "scopes",
                "none",
                "a list of words",
                "scopes: [metrics.read]",
            ),
            row("private", "false", "", "private: true"),
            row("plaintext", "false", "", "plaintext: true"),
            row("ca", "the system's", "a file in PEM", "ca: ./ca.pem"),
        ],
    },
    KeySection {
        place: "grants.http[].client_certificate",
        needs: "certificate: ./servo.pem\nkey: ./servo.key",
        schema: schema_of::<ClientCertificateSpec>,
        rows: &[
            row(
                "certificate",
                "required",
                "a file in PEM",
                "certificate: ./servo.pem",
            ),
            row("key", "required", "a file in PEM", "key: ./servo.key"),
        ],
    },
    KeySection {
        place: "grants.folders[]",
        needs: "name: out\npath: ./out",
        schema: schema_of::<FolderSpec>,
        rows: &[
            row("name", "required", "", "name: out"),
            row("path", "required", "a folder", "path: ./out"),
            row("access", "read", "read or write", "access: write"),
        ],
    },
    KeySection {
        place: "grants.actions.NAME",
        needs: "run: [/usr/bin/ab, -n, \"{requests}\"]\nwhere: { requests: 1..100 }",
        schema: schema_of::<ActionSpec>,
        rows: &[
            row(
                "run",
                "required",
                "a program and arguments",
                "run: [/usr/bin/ab, -n, \"{requests}\"]",
            ),
            row(
                "where",
                "no holes",
                "by name of the hole",
                "where: { requests: 1..100 }",
            ),
            row("wall", "1m", "a time: ms, s, m, h", "wall: 30s"),
        ],
    },
    KeySection {
        place: "ceiling",
        needs: "",
        schema: schema_of::<CeilingSpec>,
        rows: &[
            row(
                "http",
                "any",
                "a list of rules",
                "http: [{ rule: \"GET https://*.shop.example/\" }]",
            ),
            row("folders", "any", "a list", "folders: [{ path: ./shown }]"),
            row(
                "scratch",
                "any",
                "a size: B, KiB, MiB, GiB",
                "scratch: 1MiB",
            ),
            row(
                "limits",
                "any",
                "see `servo limits`",
                "limits: { memory: 64MiB }",
            ),
            row("credentials", "any", "true or false", "credentials: false"),
            row("actions", "any", "absolute paths", "actions: [/usr/bin/ab]"),
            row(
                "settings",
                "any",
                "by `component.setting`",
                "settings: { app.workers: { min: 1, max: 8 } }",
            ),
        ],
    },
    KeySection {
        place: "ceiling.http[]",
        needs: "rule: \"GET https://*.shop.example/\"",
        schema: schema_of::<HttpCeilingSpec>,
        rows: &[
            row(
                "rule",
                "required",
                "methods and URL",
                "rule: \"GET,PUT https://*.shop.example/\"",
            ),
            row("private", "false", "", "private: true"),
            row(
                "networks",
                "none",
                "names or networks",
                "networks: [10.20.0.0/16]",
            ),
            row("headers", "none", "names", "headers: [x-scope-orgid]"),
        ],
    },
    KeySection {
        place: "ceiling.folders[]",
        needs: "path: ./shown",
        schema: schema_of::<FolderCeilingSpec>,
        rows: &[
            row("path", "required", "a folder", "path: ./shown"),
            row("access", "read", "read or write", "access: write"),
        ],
    },
    KeySection {
        place: "ceiling.settings.COMPONENT.SETTING",
        needs: "",
        schema: schema_of::<SettingCeilingSpec>,
        rows: &[
            row("min", "any", "", "min: 1"),
            row("max", "any", "", "max: 8"),
            row(
                "values",
                "any",
                "texts or numbers",
                "values: [small, large]",
            ),
        ],
    },
];
