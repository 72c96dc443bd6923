<?php
// SPDX-License-Identifier: MIT
// Does with deploy/clients/paddock.php what clients_test.py asks for. See driver.py.
declare(strict_types=1);

require getenv('CLIENTS') . '/paddock.php';

function say(array $answer): void
{
    echo json_encode($answer, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION), "\n";
}

function follow(\Paddock\Queue $queue, array $words): void
{
    foreach ($queue->follow($words['id'], $words['position'] ?? \Paddock\START, $words['timeout'] ?? null) as $entry) {
        $data = is_string($entry->data) ? base64_encode($entry->data) : $entry->data;
        say(['entry' => ['data' => $data] + get_object_vars($entry)]);
    }
}

function position(\Paddock\Queue $queue, string $id): ?array
{
    $found = $queue->position($id);
    return $found ? ['ahead' => $found->ahead, 'wait_ms' => $found->waitMs] : null;
}

$redis = new \Redis();
$redis->connect(getenv('SOCKET'));
$redis->auth([getenv('USERNAME'), getenv('PASSWORD')]);
$redis->setOption(\Redis::OPT_PREFIX, 'somebody-elses:');
$queue = new \Paddock\Queue($redis, getenv('QUEUE'), (float) getenv('PATIENCE'));
$calls = [
    'enqueue' => fn ($w) => get_object_vars($queue->enqueue(base64_decode($w['program']), $w['fields'], $w['id'] ?? null)),
    'follow' => fn ($w) => follow($queue, $w),
    'result' => fn ($w) => $queue->result($w['id'], $w['timeout'] ?? null),
    'cancel' => fn ($w) => $queue->cancel($w['id']),
    'input' => fn ($w) => $queue->input($w['id'], base64_decode($w['data'] ?? ''), $w['eof'] ?? false),
    'exists' => fn ($w) => $queue->exists($w['id']),
    'status' => fn ($w) => $queue->status($w['id']),
    'position' => fn ($w) => position($queue, $w['id']),
];
while (($line = fgets(STDIN)) !== false) {
    $words = json_decode($line, true, 512, JSON_THROW_ON_ERROR);
    try {
        say(['value' => $calls[$words['call']]($words)]);
    } catch (\Exception $error) {
        $tells = get_object_vars($error);
        say(['error' => (new \ReflectionClass($error))->getShortName(), 'message' => $error->getMessage(),
            'retry_ms' => $tells['retryMs'] ?? null] + $tells);
    }
}
if ($redis->getOption(\Redis::OPT_PREFIX) !== 'somebody-elses:') {
    exit(1);
}
