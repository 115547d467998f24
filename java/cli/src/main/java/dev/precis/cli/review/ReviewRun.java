package dev.precis.cli.review;

import dev.precis.cli.common.BaseCommand;
import dev.precis.cli.common.GracefulShutdown;
import dev.precis.cli.options.ListenOptions;
import dev.precis.review.Gate;
import dev.precis.review.comparison.ComparisonSession;
import dev.precis.server.review.ReviewServer;
import dev.precis.server.review.ReviewServerOptions;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.logging.Level;
import java.util.logging.Logger;

/**
 * Serves the page: the only class of these commands that needs those of the server, which are on
 * the class path of few commands.
 */
final class ReviewRun {
  /** Held here, because a logger that nobody holds forgets its level. */
  private static final Logger WEB_SERVER = Logger.getLogger("io.helidon");

  private static final Duration DRAIN = Duration.ofSeconds(10);

  private ReviewRun() {}

  static int serve(
      BaseCommand command,
      ListenOptions listen,
      ComparisonSession session,
      Gate gate,
      Map<String, String> tokens,
      Map<String, String> managers) {
    WEB_SERVER.setLevel(Level.WARNING); // it would print its features and its port
    ReviewServerOptions options =
        new ReviewServerOptions(
            listen.address(),
            listen.port(),
            listen.hosts(),
            listen.certificate(),
            listen.privateKey(),
            ReviewServerOptions.LIMITS);
    CountDownLatch signal = new CountDownLatch(1);
    try (GracefulShutdown shutdown = new GracefulShutdown(signal::countDown);
        ReviewServer server =
            listen.start(() -> ReviewServer.start(session, gate, tokens, managers, options))) {
      for (Map<String, String> people : List.of(tokens, managers)) {
        people.forEach(
            (name, token) ->
                command
                    .terminal()
                    .println(name + ": " + ReviewServer.page(server.address(), token)));
      }
      command.note("Who has an address acts in that name. Ctrl-C ends the server.");
      signal.await();
      server.drain(DRAIN);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return BaseCommand.DONE;
  }
}
