# SPDX-License-Identifier: MIT
unit_test(relay judge)
