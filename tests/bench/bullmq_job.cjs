// SPDX-License-Identifier: MIT
// The no-op that BullMQ runs: the same four lines.
module.exports = async () => {
    const add = (a, b) => a + b;
    const x = add(1, 2);
    return x;
};
