"""The dependency check itself: every rule has a case that it must refuse."""

import contextlib
import importlib.machinery
import importlib.util
import io
import pathlib
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
FILE = str(pathlib.Path(__file__).parent / "dependencies")
LOADER = importlib.machinery.SourceFileLoader("dependencies", FILE)
check = importlib.util.module_from_spec(importlib.util.spec_from_loader("dependencies", LOADER))
LOADER.exec_module(check)

CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index"
DENY = {
    "advisories": {"ignore": []},
    "licenses": {"allow": ["MIT", "Apache-2.0 WITH LLVM-exception"], "private": {"ignore": True}},
    "bans": {
        "multiple-versions": "warn", "wildcards": "deny", "allow-wildcard-paths": True,
        "deny": [{"crate": "openssl", "reason": "rustls"}],
    },
    "sources": {
        "unknown-registry": "deny", "unknown-git": "deny",
        "allow-registry": ["https://github.com/rust-lang/crates.io-index"], "allow-git": [],
    },
}


def crate(name="one", version="1.0.0", **other):
    base = {"name": name, "version": version, "id": f"{name}@{version}", "license": "MIT",
            "publish": None, "source": CRATES_IO, "dependencies": []}
    return {**base, **other}


class Rules(unittest.TestCase):
    def found(self, step, *arguments):
        findings, output = check.Findings(), io.StringIO()
        with contextlib.redirect_stdout(output):
            step(DENY, *arguments, findings)
        return findings.errors, output.getvalue()

    def test_licence_expressions(self):
        for expression, expected in [
            ("MIT", True), ("GPL-3.0", False), ("GPL-3.0 OR MIT", True), ("GPL-3.0/MIT", True),
            ("MIT AND GPL-3.0", False), ("(MIT OR GPL-3.0) AND MIT", True),
            ("MIT OR GPL-3.0 AND GPL-2.0", True), ("GPL-2.0 AND (GPL-3.0 OR MIT)", False),
            ("Apache-2.0", False), ("Apache-2.0 WITH LLVM-exception", True),
        ]:
            allow = set(DENY["licenses"]["allow"])
            self.assertEqual(check.allowed(expression, allow), expected, expression)
        for expression in ["", "MIT OR", "(MIT", "MIT MIT", "MIT)", "AND"]:
            with self.assertRaises(ValueError, msg=expression):
                check.allowed(expression, {"MIT"})

    def test_licences(self):
        ours = crate("ours", license="Apache-2.0", publish=[], source=None)
        for one, errors in [
            (crate(), 0), (crate(license="GPL-3.0"), 1), (crate(license=None), 1), (ours, 0),
            (crate(license="MIT OR"), 1), ({**ours, "publish": None}, 1),
        ]:
            self.assertEqual(self.found(check.check_licences, [one], {"ours@1.0.0"})[0], errors, one)

    def test_bans(self):
        self.assertEqual(self.found(check.check_bans, [crate("openssl")], set())[0], 1)
        errors, output = self.found(check.check_bans, [crate(), crate(version="2.0.0")], set())
        self.assertEqual(errors, 0)
        self.assertIn("one is there in several versions: 1.0.0, 2.0.0", output)
        for path, errors in [(None, 1), ("/x", 0)]:
            wild = crate(dependencies=[{"name": "two", "req": "*", "path": path}])
            self.assertEqual(self.found(check.check_bans, [wild], {wild["id"]})[0], errors)

    def test_sources(self):
        for source, errors in [
            (CRATES_IO, 0), ("git+https://github.com/a/b", 1), ("registry+https://other/", 1), (None, 1),
        ]:
            self.assertEqual(self.found(check.check_sources, [crate(source=source)], set())[0], errors)

    def test_version_requirements(self):
        for requirement, versions in {
            ">= 1.2.3": {"1.2.3": True, "1.2.2": False, "1.10.0": True, "1.2.3-rc.1": False},
            "^1.2": {"1.2.0": True, "1.9.9": True, "2.0.0": False, "1.1.9": False},
            "^0.3.4": {"0.3.4": True, "0.3.9": True, "0.4.0": False},
            "^0": {"0.9.0": True, "1.0.0": False},
            "~1.2.3": {"1.2.9": True, "1.3.0": False},
            "~1": {"1.9.0": True, "2.0.0": False},
            "> 1.0, < 1.5": {"1.0.0": False, "1.4.9": True, "1.5.0": False},
            "=1.0.0": {"1.0.0": True, "1.0.1": False, "1.0.0+build": True},
            "< 0.5.0": {"0.4.9": True, "0.5.0": False},
        }.items():
            for version, expected in versions.items():
                self.assertEqual(check.meets(version, requirement), expected, (version, requirement))
        with self.assertRaises(check.Broken):
            check.meets("1.0.0", "about 1")

    def test_advisories(self):
        def advisory(extra="", versions='patched = [">= 1.2.0"]', package="one"):
            return (f'```toml\n[advisory]\nid = "RUSTSEC-2026-0001"\npackage = "{package}"\n{extra}\n'
                    f"[versions]\n{versions}\n```\n\n# Title\n")
        for text, version, errors in [
            (advisory(), "1.1.0", 1), (advisory(), "1.2.0", 0), (advisory(package="two"), "1.1.0", 0),
            (advisory(versions='patched = []\nunaffected = ["< 1.1.0"]'), "1.1.0", 1),
            (advisory(versions='patched = []\nunaffected = ["< 1.1.0"]'), "1.0.9", 0),
            (advisory('withdrawn = "2026-01-01"'), "1.1.0", 0),
            (advisory('informational = "unmaintained"'), "1.1.0", 0),
            (advisory('informational = "unsound"'), "1.1.0", 1),
        ]:
            with tempfile.TemporaryDirectory() as folder:
                file = pathlib.Path(folder, "crates", "one", "RUSTSEC-2026-0001.md")
                file.parent.mkdir(parents=True)
                file.write_text(text)
                found = self.found(check.check_advisories, [crate(version=version)], folder)[0]
                self.assertEqual(found, errors, (text, version))
        with tempfile.TemporaryDirectory() as folder, self.assertRaises(check.Broken):
            self.found(check.check_advisories, [], folder)

    def test_the_real_deny_toml_is_honoured_whole(self):
        check.rules()


if __name__ == "__main__":
    unittest.main()
