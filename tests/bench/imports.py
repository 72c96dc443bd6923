# SPDX-License-Identifier: MIT
"""How long the importer takes for real packages, beside zipimport, a plain folder, and compile and exec alone: the second
part of tests/bench/run. Every import is in a fresh process of Debian's Python, and what the package needs of Python's own
library has been imported before."""

import compileall
import os
import statistics
import subprocess
import tempfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = "/usr/lib/python3/dist-packages"
PYTHON = "/usr/bin/python3"

# What is imported, and the folders and modules of Debian's that it takes.
PROGRAMS = {
    "sympy": ("import sympy", ("sympy", "mpmath")),
    "networkx": ("import networkx", ("networkx",)),
    "requests": ("import requests", ("requests", "urllib3", "certifi", "chardet", "idna", "six.py")),
    "jinja2": ("import jinja2", ("jinja2", "markupsafe")),
    "pygments": ("from pygments import highlight; from pygments.lexers import PythonLexer; "
                 "from pygments.formatters import HtmlFormatter", ("pygments",)),
}
# name, what it is: the ways to import each
WAYS = (
    ("floor", "compile and exec alone"),
    ("paddock", "Paddock, .py deflated"),
    ("zip", "zipimport, .py deflated"),
    ("zip_pyc", "zipimport, .py and .pyc"),
    ("folder", "folder, without .pyc"),
    ("folder_pyc", "folder, with .pyc"),
)


class Program:
    """One package in every form, in a folder of its own."""

    def __init__(self, folder, name):
        self.name = name
        self.statement, tops = PROGRAMS[name]
        self.paths = {way: os.path.join(folder, f"{name}-{way}") for way, _ in WAYS}
        sources = dict(self.read(tops))
        self.write_folder(self.paths["folder"], sources)
        self.write_folder(self.paths["folder_pyc"], sources)
        compileall.compile_dir(self.paths["folder_pyc"], quiet=2)
        self.write_zip(self.paths["zip"], sources)
        self.paths["floor"] = self.paths["paddock"] = self.paths["zip"]
        self.write_zip(self.paths["zip_pyc"], {**sources, **self.compiled()})
        self.modules = self.library_modules()

    @staticmethod
    def read(tops):
        for top in tops:
            path = os.path.join(PACKAGES, top)
            walked = os.walk(path) if os.path.isdir(path) else [(PACKAGES, [], [top])]
            for folder, _, files in walked:
                for file in files:
                    if file.endswith(".py"):
                        with open(os.path.join(folder, file), "rb") as source:
                            yield os.path.relpath(os.path.join(folder, file), PACKAGES), source.read()

    def compiled(self):
        """The .pyc of each module beside its source, where zipimport looks for it; with the date that the ZIP has."""
        script = ("import importlib.util, os, sys, marshal, time\n"
                  "top = sys.argv[1]\n"
                  "when = int(time.mktime((2020, 1, 1, 0, 0, 0, 0, 0, -1)))\n"
                  "for folder, _, files in os.walk(top):\n"
                  "    for file in files:\n"
                  "        path = os.path.join(folder, file)\n"
                  "        if file.endswith('.py'):\n"
                  "            data = open(path, 'rb').read()\n"
                  "            try:\n"
                  "                code = compile(data, '/bench/' + os.path.relpath(path, top), 'exec', dont_inherit=True)\n"
                  "            except (SyntaxError, ValueError):\n"
                  "                continue\n"
                  "            head = importlib.util.MAGIC_NUMBER + bytes(4) + when.to_bytes(4, 'little')\n"
                  "            head += (len(data) & 0xffffffff).to_bytes(4, 'little')\n"
                  "            open(path + 'c', 'wb').write(head + marshal.dumps(code))\n")
        top = self.paths["folder"]
        subprocess.run([PYTHON, "-I", "-c", script, top], check=True)
        found = {}
        for folder, _, files in os.walk(top):
            for file in files:
                path = os.path.join(folder, file)
                if file.endswith(".pyc"):
                    with open(path, "rb") as compiled:
                        found[os.path.relpath(path, top)] = compiled.read()
                    os.unlink(path)
        return found

    @staticmethod
    def write_folder(top, sources):
        for name, data in sources.items():
            path = os.path.join(top, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)

    @staticmethod
    def write_zip(path, files):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in sorted(files.items()):
                archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)

    def library_modules(self):
        """What the package imports of Python's own library."""
        script = (f"{self.statement}\nimport sys\n"
                  "print(*(name for name in sys.modules if name.partition('.')[0] in sys.stdlib_module_names))")
        done = subprocess.run([PYTHON, "-c", script], env={**os.environ, "PYTHONPATH": self.paths["folder"],
                                                           "PYTHONDONTWRITEBYTECODE": "1"},
                              stdout=subprocess.PIPE, text=True, check=True)
        return [name for name in done.stdout.split() if name not in ("__main__", "site", "sitecustomize")]

    def import_once(self, way, build):
        command = [PYTHON, "-S", "-B", "-s", os.path.join(HERE, "import_once.py"), way, self.paths[way], self.statement,
                   *self.modules]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": os.path.join(build, "python")},
                              stdout=subprocess.PIPE, text=True, check=True)
        took, modules = done.stdout.split()
        return float(took), int(modules)


def measure(rounds, build, note):
    """{program: {way: median of milliseconds, "modules": how many}}; the ways take turns within each round."""
    with tempfile.TemporaryDirectory(prefix="paddock-bench-") as folder:
        programs = []
        for name in PROGRAMS:
            note(f"packing {name}")
            programs.append(Program(folder, name))
        times = {program.name: {way: [] for way, _ in WAYS} for program in programs}
        modules = {program.name: set() for program in programs}
        for turn in range(rounds):
            for program in programs:
                note(f"imports, round {turn + 1} of {rounds}: {program.name}")
                for way, _ in WAYS:
                    took, count = program.import_once(way, build)
                    times[program.name][way].append(took)
                    modules[program.name].add(count)
        note("")
    for name, counts in modules.items():
        if len(counts) != 1:
            raise AssertionError(f"{name}: not the same modules in each way: {counts}")
    return {name: {**{way: statistics.median(values) for way, values in ways.items()}, "modules": modules[name].pop()}
            for name, ways in times.items()}


def show(figures):
    print(f"{'import, ms':26}" + "".join(f"{name:>12}" for name in figures))
    for way, what in WAYS:
        print(f"{what:26}" + "".join(f"{ways[way]:12.1f}" for ways in figures.values()))
    print(f"{'modules':26}" + "".join(f"{ways['modules']:12}" for ways in figures.values()))
    print(f"{'zipimport : Paddock':26}" + "".join(f"{ways['zip'] / ways['paddock']:12.2f}" for ways in figures.values()))
    print(f"{'Paddock : compile + exec':26}" + "".join(f"{ways['paddock'] / ways['floor']:12.3f}" for ways in figures.values()))
