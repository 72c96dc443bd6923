/* SPDX-License-Identifier: MIT */
/* The two compiled filters (policy_filters.c, made by policy_compile). */
#pragma once

#include <linux/filter.h>

#define POLICY_FILTER_MAX 1024 /* instructions */

struct policy_filter {
    const struct sock_filter *code;
    unsigned short length;
};

extern const struct policy_filter policy_notify_filter;
extern const struct policy_filter policy_sandbox_filter;
