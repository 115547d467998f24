package dev.precis.server.http;

import dev.precis.io.InvalidInputException;
import io.helidon.webserver.WebServer;
import io.helidon.webserver.WebServerConfig;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Consumer;

/** A web server within its limits, on one address. */
public final class Listener implements AutoCloseable {
  private static final List<String> LOOPBACK = List.of("localhost", "127.0.0.1", "[::1]");

  /** Bytes that the system holds for a client that does not read, before its time runs. */
  private static final int SEND_BUFFER_BYTES = 64 << 10;

  private static final Duration STOP = Duration.ofSeconds(5);

  private final InetAddress address;
  private final int port;
  private final boolean encrypted;
  private final WebServer web;

  /**
   * Makes a server that does not listen yet.
   *
   * @param port 0: any that is free
   * @param certificates PEM file of the certificate; null: connections are not encrypted
   * @param privateKey PEM file of its key
   * @param content adds what the server answers
   * @throws InvalidInputException if the certificate cannot be used
   */
  public Listener(
      InetAddress address,
      int port,
      Limits limits,
      Path certificates,
      Path privateKey,
      Consumer<WebServerConfig.Builder> content) {
    this.address = address;
    this.port = port;
    encrypted = certificates != null;
    WebServerConfig.Builder builder =
        WebServer.builder()
            .address(address)
            .port(port)
            .shutdownHook(false)
            .maxPayloadSize(limits.bodyBytes())
            .maxTcpConnections(limits.connections())
            .connectionOptions(
                each ->
                    each.readTimeout(limits.bodyTime())
                        .socketSendBufferSize(SEND_BUFFER_BYTES)
                        // A response would wait 40 ms between its head and its body, for the client
                        // acknowledges the one late and Nagle's algorithm holds the other back.
                        .tcpNoDelay(true))
            .shutdownGracePeriod(STOP)
            .directHandlers(DirectFailures.handlers())
            .featuresDiscoverServices(false);
    content.accept(builder);
    if (encrypted) {
      builder.tls(Certificates.read(certificates, privateKey));
    }
    web = builder.build();
  }

  /**
   * Begins to listen.
   *
   * @throws UncheckedIOException if it cannot listen on the address and port
   */
  public void start() {
    // The web server would log that it cannot listen, and go on without.
    requireFree();
    web.start();
    if (!web.isRunning()) {
      throw new IllegalStateException("The web server has not started; its log says why.");
    }
  }

  private void requireFree() {
    try (ServerSocket socket = new ServerSocket()) {
      socket.bind(new InetSocketAddress(address, port));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Returns the names that requests may address a server by; empty: any.
   *
   * @param others names beside its own
   */
  public static Set<String> names(InetAddress address, Set<String> others) {
    Set<String> names = new HashSet<>(others);
    if (address.isLoopbackAddress() || !names.isEmpty()) {
      names.addAll(LOOPBACK);
      names.add(shown(address));
    }
    return names;
  }

  private static String shown(InetAddress address) {
    String host = address.getHostAddress();
    return host.contains(":") ? "[" + host + "]" : host;
  }

  /** Returns the address that it listens on. */
  public URI uri() {
    return URI.create(
        "%s://%s:%d/".formatted(encrypted ? "https" : "http", shown(address), web.port()));
  }

  /** Stops listening and ends the requests that run. */
  @Override
  public void close() {
    web.stop();
  }
}
