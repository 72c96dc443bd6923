/* SPDX-License-Identifier: MIT */
/* Base64 as RFC 4648 section 4 has it: with padding, without line breaks. */
#pragma once

#include "common/buffer.h"

#include <sys/types.h>

void base64_add(struct buffer *to, const void *bytes, size_t size);

/* Decodes `size` characters in their place. Returns how many bytes they are, or -EBADMSG:
 * a character that is none of Base64's, or not a multiple of four of them. */
ssize_t base64_decode(char *text, size_t size) must_check;
