# SPDX-License-Identifier: MIT
unit_test(redis queue)
set_tests_properties(unit.redis PROPERTIES TIMEOUT 300)
