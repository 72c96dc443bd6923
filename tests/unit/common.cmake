# SPDX-License-Identifier: MIT
foreach(name buffer text utf8 log fd secret verdict job ring chunk base64 wire wire_json trace message host_modules option scoreboard)
  unit_test(${name} common)
endforeach()
