/* SPDX-License-Identifier: MIT */
/* Names that nobody can guess, from the kernel's random numbers. */
#pragma once

#include "common/cleanup.h"

#define RANDOM_NAME 33 /* bytes of a name, with its NUL */

/* 32 hexadecimal digits. Returns 0 or a negative errno. */
int random_name(char name[RANDOM_NAME]) must_check;
