# SPDX-License-Identifier: MIT
# Turns a text file into a C string: cmake -DINPUT=... -DOUTPUT=... -DNAME=... -P embed_text.cmake
file(READ ${INPUT} bytes HEX)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(................................................................................)"
       "\\1\n    " bytes "${bytes}")
get_filename_component(source ${INPUT} NAME)
file(WRITE ${OUTPUT} "/* SPDX-License-Identifier: MIT */
/* Made from ${source} by the build; edit that. */
#pragma once

static const char ${NAME}[] = {
    ${bytes}0x00,
};
")
