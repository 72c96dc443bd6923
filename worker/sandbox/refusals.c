/* SPDX-License-Identifier: MIT */
/*
 * What is not offered, and why: one table. Read in the zygote; the sentences are for
 * students. It is no boundary: what a module could do is stopped by the filter. Modules
 * that many packages import without using them (socket, subprocess, multiprocessing) are
 * not here: using them is what fails.
 */
#include "worker/sandbox/refusals.h"

#include "common/cleanup.h"
#include "importer/hint.h"

#define NO_SCREEN   "There is no screen here: a program can print, and no window opens"
#define NO_TERMINAL "There is no terminal here: a program can print and read lines"
#define NO_MEMORY   "Programs cannot reach into memory here, so there is no ctypes"
#define NO_NETWORK  "There is no network here, so there is nothing to encrypt"
#define NO_INSTALL  "Nothing can be installed here: upload the package with your program"
#define NO_CODEC    "This encoding is not offered here: UTF-8 can write all languages"
#define NO_TESTS    "Python's own tests are not offered here"

static const struct importer_refusal rows[] = {
    {"ctypes", NO_MEMORY},         {"_ctypes", NO_MEMORY},
    {"tkinter", NO_SCREEN},        {"_tkinter", NO_SCREEN},
    {"turtle", NO_SCREEN},         {"turtledemo", NO_SCREEN},
    {"idlelib", NO_SCREEN},        {"curses", NO_TERMINAL},
    {"_curses", NO_TERMINAL},      {"readline", NO_TERMINAL},
    {"ssl", NO_NETWORK},           {"_ssl", NO_NETWORK},
    {"ensurepip", NO_INSTALL},     {"venv", NO_INSTALL},
    {"pip", NO_INSTALL},           {"distutils", NO_INSTALL},
    {"setuptools", NO_INSTALL},    {"test", NO_TESTS},
    {"_codecs_cn", NO_CODEC},      {"_codecs_hk", NO_CODEC},
    {"_codecs_iso2022", NO_CODEC}, {"_codecs_jp", NO_CODEC},
    {"_codecs_kr", NO_CODEC},      {"_codecs_tw", NO_CODEC},
    {"lib2to3", NO_TESTS},         {"ossaudiodev", "There is no sound here"},
};

void refusals_install(void)
{
    importer_refuse_modules(rows, array_size(rows));
}
