# SPDX-License-Identifier: MIT
# One INTERFACE target that every target links: warnings, hardening, sanitizers.

option(PADDOCK_WERROR "Warnings are errors" OFF)
set(PADDOCK_SANITIZE "" CACHE STRING "Sanitizers, as for -fsanitize=; empty for none")

add_library(options INTERFACE)
target_compile_definitions(options INTERFACE _GNU_SOURCE PADDOCK_VERSION="${PROJECT_VERSION}")
target_include_directories(options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(options INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla
  -Wformat=2 -Wundef -Wwrite-strings -Wold-style-definition -Wno-unused-parameter
  -fno-common -fstack-protector-strong -fstack-clash-protection)
if(PADDOCK_WERROR)
  target_compile_options(options INTERFACE -Werror)
endif()

if(PADDOCK_SANITIZE)
  target_compile_options(options INTERFACE
    -fsanitize=${PADDOCK_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(options INTERFACE -fsanitize=${PADDOCK_SANITIZE})
  target_compile_definitions(options INTERFACE PADDOCK_SANITIZED)
elseif(NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_options(options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported()
target_link_options(options INTERFACE -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed)
