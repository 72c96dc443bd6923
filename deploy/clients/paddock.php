<?php
// SPDX-License-Identifier: MIT
/**
 * A client of Paddock for a backend (docs/PROTOCOL.md). PHP 8.1 or later and the extension phpredis (Debian's php-redis);
 * nothing else.
 *
 *     $redis = new \Redis();
 *     $redis->connect('/run/paddock-redis/redis.sock');
 *     $queue = new \Paddock\Queue($redis, 'default');
 *     $job = $queue->enqueue($zip, ['tenant' => 'team-7', 'encoding' => 'json', 'cpu_ms' => 2000]);
 *     foreach ($queue->follow($job->id) as $entry) {
 *         if ($entry->kind === 'slice') {
 *             echo $entry->data; // with encoding=json lines of JSON: a record each, which needs no decoder
 *         }
 *     }
 *     echo $entry->data['verdict'], ' - ', $entry->data['sentence'];
 *
 * Needs no more rights than the user `paddock-web` of redis-users.acl has. It blocks as the connection does, and changes none of
 * its options. Where Redis is away calls are repeated for `patience` seconds, and `follow` goes on where it was, for as long
 * each time; what Redis itself says to it then is thrown: a \RedisException. It is connected again with the address, the
 * password and the options that the connection had at first, or by the closure `connect` where it takes more than these (TLS
 * with a context, Sentinel). No answer is waited for longer than five seconds: phpredis, which connects again by itself, too,
 * may wait on the new connection for the answer to what it has sent on the old one.
 */

declare(strict_types=1);

namespace Paddock;

const START = '0-0';
/** The result is the last entry that there can be: nothing else is behind this one. */
const BEFORE_RESULT = '18446744073709551615-18446744073709551614';
const END = '18446744073709551615-18446744073709551615';

const BLOCK_MS = 2000;
const ANSWER_S = 5.0;
const COUNT = 16; // entries of up to 256 KB that are read at once
const PAUSES_MS = [50, 100, 200, 500, 1000]; // between a call and its repetitions; the last one from then on

/** What is a number in a job's hash, as it is in its result. */
const NUMBER = '/^(\w+_(ms|kb|mb|s)|attempt|bytes|lost|max_deliveries|exit_code|signal|frames_dropped|live_input|replace)\z/';

/** Whatever Paddock has to say against a call. */
class PaddockException extends \RuntimeException
{
}

/** No pool has served this Redis yet. */
class NoPool extends PaddockException
{
}

/** There is none of this id, or its time is over. */
class NoSuchJob extends PaddockException
{
}

/** There is no result yet. */
class TimedOut extends PaddockException
{
}

/** Nothing was changed. */
class Refused extends PaddockException
{
}

/** There is no such `field`, or it takes no such value, which `sentence` says. */
class BadField extends Refused
{
    public function __construct(public readonly string $field, public readonly string $sentence)
    {
        parent::__construct("$field: $sentence");
    }
}

/** Now and later: `limit` bytes are allowed. */
class TooBig extends Refused
{
    public function __construct(public readonly int $limit)
    {
        parent::__construct("more than $limit bytes");
    }
}

/** `reason` says what is at its limit: "jobs", "bytes", "tenant" or "memory". Try again after `retryMs`. */
class Full extends Refused
{
    public function __construct(public readonly string $reason, public readonly int $retryMs)
    {
        parent::__construct("$reason: try again after $retryMs ms");
    }
}

/** There is a job of this id already, in this `state`. */
class Duplicate extends Refused
{
    public function __construct(public readonly string $state)
    {
        parent::__construct("there is a job of this id, which is $state");
    }
}

/**
 * `reason`: "full" (it has taken all that a job may), "closed" (its end was sent), "refused" (it has no live input) or "final".
 */
class InputRefused extends Refused
{
    public function __construct(public readonly string $reason)
    {
        parent::__construct("the job takes no such input: $reason");
    }
}

final class Enqueued
{
    /** @param int $position jobs that could run and wait before it */
    public function __construct(public readonly string $id, public readonly int $position)
    {
    }
}

final class Entry
{
    /**
     * @param string $position where `follow` goes on behind it
     * @param string|array<string, mixed> $data bytes of a "slice"; of "state" and "result" what they say
     */
    public function __construct(
        public readonly string $position,
        public readonly string $kind,
        public readonly int $attempt,
        public readonly string|array $data,
    ) {
    }
}

final class Position
{
    public function __construct(public readonly int $ahead, public readonly int $waitMs)
    {
    }
}

/** One queue of a pool. */
final class Queue
{
    private readonly string $prefix;
    private readonly float $answerS;
    private readonly int $blockMs;
    private readonly \Closure $connect;

    /** @param ?\Closure(\Redis): void $connect connects it again, as it was */
    public function __construct(
        private readonly \Redis $redis,
        string $name = 'default',
        private readonly float $patience = 30,
        ?\Closure $connect = null,
    ) {
        if (!preg_match('/^[A-Za-z0-9_.-]{1,64}\z/', $name)) {
            throw new \InvalidArgumentException("a queue's name is 1 to 64 letters, digits, _, . and -");
        }
        $this->prefix = "paddock:{{$name}}:";
        $own = (float) $redis->getReadTimeout();
        $this->answerS = $own > 0 ? min($own, ANSWER_S) : ANSWER_S;
        $this->blockMs = max(min(BLOCK_MS, (int) ($this->answerS * 500)), 1);
        $this->connect = $connect ?? self::asItIs($redis);
    }

    /**
     * A ZIP, or one bare source file ('source' => 'py'), with the fields of PROTOCOL's table. Without an id it makes one. A
     * connection that is lost on the way costs nothing: what is sent again has the same id.
     *
     * @param array<string, string|int|bool> $fields
     */
    public function enqueue(string $program, array $fields = [], ?string $id = null): Enqueued
    {
        $id = $id === null ? bin2hex(random_bytes(16)) : self::checked($id);
        $words = [];
        foreach ($fields as $name => $value) {
            array_push($words, (string) $name, is_bool($value) ? (string) (int) $value : (string) $value);
        }
        $began = self::nowMs();
        [$answer, $repeated] = $this->repeat(fn () => $this->submit($program, $id, $words));
        [$word, $reason, $ms] = [...explode(' ', $answer), '0', '0'];
        if ($word === 'full') {
            throw new Full($reason, (int) $ms);
        }
        if ($word === 'duplicate') {
            if (!$repeated || !$this->isOfLate($id, $began)) {
                throw new Duplicate($reason);
            }
            return new Enqueued($id, $this->position($id)?->ahead ?? 0);
        }
        return new Enqueued($id, (int) $reason);
    }

    /**
     * The entries of the job's Stream behind the position $from, as they come, up to its one result. At each "state" a reader
     * forgets what it has: an attempt begins. Slices of a lost attempt are left out. Throws NoSuchJob where there is none (any
     * more), and TimedOut after so many seconds in all, also where Redis is away; one that stands still holds each call for as long
     * as the connection waits, 5 seconds at most.
     *
     * @return \Generator<int, Entry>
     */
    public function follow(string $id, string $from = START, ?float $timeout = null): \Generator
    {
        $is64 = fn (string $number): bool => strcmp(str_pad($number, 20, '0', STR_PAD_LEFT), '18446744073709551615') <= 0;
        if (!preg_match('/^([0-9]{1,20})-([0-9]{1,20})\z/', $from, $numbers) || !$is64($numbers[1]) || !$is64($numbers[2])) {
            throw new BadField('position', 'takes that of an entry');
        }
        return $this->entries(self::checked($id), $from, $timeout);
    }

    /**
     * How the job ended, as soon as it has. Throws as `follow` does.
     *
     * @return array<string, mixed>
     */
    public function result(string $id, ?float $timeout = null): array
    {
        return $this->follow($id, BEFORE_RESULT, $timeout)->current()->data;
    }

    /** "cancelled" (it waited), "requested" (it runs, and is about to be stopped) or "final". */
    public function cancel(string $id): string
    {
        return self::known($id, $this->call('FCALL', 'paddock_cancel', '1', $this->prefix . 'open', self::checked($id)));
    }

    /**
     * Sends at most 65,536 bytes to a job with live_input=1, and with $eof their end: "ok" (it runs) or "queued". Is not
     * repeated, as it would be sent twice: do so where the connection is lost only if the program does not mind.
     */
    public function input(string $id, string $data = '', bool $eof = false): string
    {
        $words = ['paddock_input', '1', $this->prefix . 'open', self::checked($id), $data, ...($eof ? ['eof'] : [])];
        $this->call('PING'); // on a connection that was lost meanwhile nothing would be sent
        try {
            $word = self::known($id, $this->once('FCALL', ...$words));
        } catch (\RedisException $error) {
            throw self::meaning($error);
        }
        return in_array($word, ['ok', 'queued'], true) ? $word : throw new InputRefused($word);
    }

    public function exists(string $id): bool
    {
        return $this->call('EXISTS', $this->prefix . 'job:' . self::checked($id)) > 0;
    }

    /**
     * The job's hash: its `state`, the fields that it was enqueued with, and when it has ended those of its result.
     *
     * @return array<string, string|int>
     */
    public function status(string $id): array
    {
        $status = self::pairs($this->call('HGETALL', $this->prefix . 'job:' . self::checked($id)));
        foreach ($status as $name => $value) {
            $status[$name] = preg_match(NUMBER, $name) && preg_match('/^-?[0-9]+\z/', $value) ? (int) $value : $value;
        }
        return $status ?: throw new NoSuchJob($id);
    }

    /**
     * How many jobs have their turn before it and how long that may take, an estimate, in a paused queue from when it goes on;
     * zeros: it runs, or is the next. null: it is final, or there is none.
     */
    public function position(string $id): ?Position
    {
        [$ahead, $waitMs] = $this->call('FCALL_RO', 'paddock_position', '1', $this->prefix . 'open', self::checked($id));
        return $ahead < 0 ? null : new Position($ahead, $waitMs);
    }

    /** @return \Generator<int, Entry> */
    private function entries(string $id, string $position, ?float $timeout): \Generator
    {
        $end = $timeout === null ? INF : self::nowMs() + $timeout * 1000;
        $attempt = $this->attemptAt($id, $position, $end);
        $silent = true; // the first time, too: whether there is such a job is known before one waits
        while ($position !== END) {
            if ($silent && $this->callUntil($end, 'EXISTS', $this->prefix . 'job:' . $id) <= 0) {
                throw new NoSuchJob($id);
            }
            $entries = $this->read($id, $position, $end);
            $silent = $entries === [];
            if ($silent && self::nowMs() >= $end) {
                throw new TimedOut("job $id has no result yet");
            }
            foreach ($entries as [$position, $words]) {
                ['k' => $kind, 'a' => $number, 'd' => $data] = self::pairs($words);
                if ($kind === 'slice' && $attempt !== null && $attempt !== (int) $number) {
                    continue; // its relay was lost, and has sent it late
                }
                $attempt = (int) $number;
                yield new Entry($position, $kind, $attempt, $kind === 'slice' ? $data : self::parsed($data));
            }
        }
    }

    /** @return list<array{string, list<string>}> */
    private function read(string $id, string $position, float $end): array
    {
        $key = $this->prefix . 'frames:' . $id;
        $ask = function () use ($key, $position, $end): mixed {
            $blockMs = (int) max(min($this->blockMs, ceil($end - self::nowMs())), 1); // for what is left by then
            return $this->once('XREAD', 'COUNT', (string) COUNT, 'BLOCK', (string) $blockMs, 'STREAMS', $key, $position);
        };
        $answer = $this->repeat($ask, $end)[0];
        return $answer ? $answer[0][1] : [];
    }

    /** Of the entry that a reader has seen last, if it has seen one. */
    private function attemptAt(string $id, string $position, float $end): ?int
    {
        if (in_array($position, [START, BEFORE_RESULT, END], true)) {
            return null;
        }
        $entries = $this->callUntil($end, 'XRANGE', $this->prefix . 'frames:' . $id, $position, $position);
        return $entries ? (int) self::pairs($entries[0][1])['a'] : null;
    }

    /** @param list<string> $words */
    private function submit(string $program, string $id, array $words): string
    {
        $upload = bin2hex(random_bytes(16));
        $refused = null;
        try {
            $this->once('SET', $this->prefix . 'up:' . $upload, $program, 'EX', '60');
        } catch (\RedisException $error) {
            $refused = self::isAnswer($error) ? $error : throw $error;
        }
        $answer = $this->once('FCALL', 'paddock_enqueue', '1', $this->prefix . 'open', $id, 'upload', $upload, ...$words);
        // Where Redis has no room for the upload, the function says so better.
        return $refused === null || str_starts_with($answer, 'full') ? $answer : throw $refused;
    }

    /** Was it enqueued since then? The answer that was lost was its own, then. */
    private function isOfLate(string $id, float $began): bool
    {
        [$seconds, $micros] = $this->call('TIME');
        $elapsedMs = self::nowMs() - $began; // after it: on its way it takes time, too
        $enqueued = $this->call('HGET', $this->prefix . 'job:' . $id, 'enqueued_ms');
        return is_string($enqueued) && (int) $enqueued >= $seconds * 1000 + intdiv((int) $micros, 1000) - $elapsedMs - 1;
    }

    private function call(string ...$words): mixed
    {
        return $this->callUntil(INF, ...$words);
    }

    private function callUntil(float $endMs, string ...$words): mixed
    {
        return $this->repeat(fn () => $this->once(...$words), $endMs)[0];
    }

    /** Throws a \RedisException also where Redis's error is one that phpredis returns. */
    private function once(string ...$words): mixed
    {
        $before = [];
        // The words of an answer, not whether there are some.
        foreach ([\Redis::OPT_REPLY_LITERAL => true, \Redis::OPT_READ_TIMEOUT => $this->answerS] as $option => $value) {
            // A timeout of 0 is PHP's own, and would be none at all where it is set.
            $before[$option] = $this->redis->getOption($option) ?: ($value === true ? false : (float) ini_get('default_socket_timeout'));
            $this->redis->setOption($option, $value);
        }
        try {
            $this->redis->clearLastError();
            $answer = $this->redis->rawCommand(...$words);
            $error = $answer === false ? $this->redis->getLastError() : null;
        } finally {
            foreach ($before as $option => $value) {
                $this->redis->setOption($option, $value);
            }
        }
        return $error === null ? $answer : throw new \RedisException($error);
    }

    /** @return array{mixed, bool} the answer, and whether it took more than one call */
    private function repeat(\Closure $ask, float $endMs = INF): array
    {
        $giveUp = self::nowMs() + $this->patience * 1000;
        for ($asked = 0;; $asked++) {
            try {
                if ($asked > 0) {
                    ($this->connect)($this->redis);
                }
                return [$ask(), $asked > 0];
            } catch (\RedisException $error) {
                if (self::isAnswer($error) || self::nowMs() > $giveUp) {
                    throw self::meaning($error);
                }
                if (self::nowMs() >= $endMs) {
                    throw new TimedOut('Redis is away', 0, $error);
                }
            }
            usleep((int) (1000 * min(PAUSES_MS[min($asked, count(PAUSES_MS) - 1)], max($endMs - self::nowMs(), 0))));
        }
    }

    /** What it takes to connect again: a connection that was lost knows nothing any more. */
    private static function asItIs(\Redis $redis): \Closure
    {
        [$host, $port, $timeout] = [$redis->getHost(), $redis->getPort(), $redis->getTimeout()];
        [$wait, $auth, $db] = [$redis->getReadTimeout(), $redis->getAuth(), $redis->getDbNum()];
        $names = ['SERIALIZER', 'PREFIX', 'READ_TIMEOUT', 'SCAN', 'TCP_KEEPALIVE', 'COMPRESSION', 'COMPRESSION_LEVEL',
            'MAX_RETRIES', 'REPLY_LITERAL', 'NULL_MULTIBULK_AS_NULL'];
        $options = [];
        foreach ($names as $name) {
            $option = constant("\\Redis::OPT_$name");
            $options[$option] = $redis->getOption($option);
        }
        return static function (\Redis $redis) use ($host, $port, $timeout, $wait, $auth, $db, $options): void {
            @$redis->connect($host, max($port, 0), $timeout, null, 0, $wait); // says it twice: with a warning, too
            foreach (array_filter($options) as $option => $value) {
                $redis->setOption($option, $value);
            }
            if ($auth) {
                $redis->auth($auth);
            }
            if ($db) {
                $redis->select($db);
            }
        };
    }

    /** @param list<string> $words @return array<string, string> */
    private static function pairs(array $words): array
    {
        $pairs = [];
        foreach (array_chunk($words, 2) as [$name, $value]) {
            $pairs[$name] = $value;
        }
        return $pairs;
    }

    /** @return array<string, mixed> */
    private static function parsed(string $json): array
    {
        return json_decode($json, true, 512, JSON_THROW_ON_ERROR);
    }

    private static function checked(string $id): string
    {
        $fits = preg_match('/^[A-Za-z0-9_-]{1,64}\z/', $id);
        return $fits ? $id : throw new BadField('id', 'takes 1 to 64 letters, digits, _ and -');
    }

    private static function known(string $id, string $word): string
    {
        return $word !== 'unknown' ? $word : throw new NoSuchJob($id);
    }

    private static function nowMs(): float
    {
        return hrtime(true) / 1e6;
    }

    /** Did Redis say so, and not a connection? */
    private static function isAnswer(\RedisException $error): bool
    {
        return preg_match('/^(?!LOADING)[A-Z][A-Z0-9_]* /', $error->getMessage()) === 1;
    }

    /** What Redis's error says of Paddock; itself, where that is nothing. */
    private static function meaning(\RedisException $error): \RuntimeException|\RedisException
    {
        [$code, $rest] = [...explode(' ', $error->getMessage(), 2), ''];
        return match (true) {
            $code === 'BADFIELD' => new BadField(...(str_contains($rest, ': ') ? explode(': ', $rest, 2) : ['', $rest])),
            $code === 'TOOBIG' => new TooBig((int) $rest),
            $code === 'OOM' => new Full('memory', 1000),
            str_contains($rest, 'Function not found') => new NoPool('no pool has served this Redis yet'),
            default => $error,
        };
    }
}
