/* SPDX-License-Identifier: MIT */
/* The Functions library: the generated tables and those of functions/, as one text
 * (library.c, made by the build). */
#pragma once

extern const char library_text[];
extern const int library_version;
