/* SPDX-License-Identifier: MIT */
/* The modules of Python's that make no sense in a sandbox. */
#pragma once

/* Tells the importer of them. Once, in the zygote. */
void refusals_install(void);
