/* SPDX-License-Identifier: MIT */
/*
 * What the operator says of host modules: their names, and the folders that they lie in.
 * Their code is run in the zygote before its lock and holds all that programs do, so
 * nobody else may be able to write it.
 */
#pragma once

#include "common/buffer.h"

/* Names of modules with dots, separated by spaces. Returns 0, or -EINVAL with what is
 * wrong with which of them in `why` (may be NULL): it is no name, it is there twice, or
 * it is Python's own or Paddock's. */
int host_modules_check(const char *names, struct buffer *why) must_check;

/* Absolute paths of folders, separated by colons. Returns 0, or -EINVAL with what is
 * wrong with which folder, or with which file below it, in `why` (may be NULL): it is not
 * there, others than root and this process's user can write to it, or the zygote, which
 * is nobody where we are root, cannot read it. */
int host_modules_check_path(const char *path, struct buffer *why) must_check;
