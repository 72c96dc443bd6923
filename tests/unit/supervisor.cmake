# SPDX-License-Identifier: MIT
unit_test(config common)
target_sources(config_test PRIVATE ${PROJECT_SOURCE_DIR}/supervisor/config.c)
unit_test(json common)
target_sources(json_test PRIVATE ${PROJECT_SOURCE_DIR}/supervisor/ctl/json.c)
unit_test(succession common)
target_sources(succession_test PRIVATE
  ${PROJECT_SOURCE_DIR}/supervisor/succession.c ${PROJECT_SOURCE_DIR}/supervisor/unit.c)
