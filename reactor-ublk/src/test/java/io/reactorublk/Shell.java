package io.reactorublk;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** Runs programs. */
final class Shell {

    private static final int LIMIT_SECONDS = 120;

    /** What a program printed, its errors too, and how it ended. */
    record Result(int status, String output) {}

    private Shell() {}

    /** Runs a program to its end. */
    static Result run(String... command) {
        return end(start(command));
    }

    /** Runs a program that must succeed; returns what it printed. */
    static String succeed(String... command) {
        Result result = run(command);
        if (result.status() != 0) {
            throw new AssertionError(String.join(" ", command) + " ended with " + result.status() + ":\n" + result.output());
        }
        return result.output();
    }

    static Process start(String... command) {
        try {
            return new ProcessBuilder(command).redirectErrorStream(true).start();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Waits for a program that was started. */
    static Result end(Process process) {
        try {
            CompletableFuture<String> output = CompletableFuture.supplyAsync(() -> read(process), Shell::onThread);
            if (!process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                throw new AssertionError("hangs: " + process.info() + "\n" + output.getNow("(no output yet)"));
            }
            return new Result(process.exitValue(), output.get(LIMIT_SECONDS, TimeUnit.SECONDS));
        } catch (InterruptedException | java.util.concurrent.ExecutionException | TimeoutException e) {
            throw new AssertionError(e);
        }
    }

    private static void onThread(Runnable task) {
        Thread.ofPlatform().daemon().name("shell").start(task);
    }

    private static String read(Process process) {
        try {
            return new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }
}
