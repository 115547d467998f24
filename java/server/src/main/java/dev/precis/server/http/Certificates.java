package dev.precis.server.http;

import dev.precis.io.InvalidInputException;
import io.helidon.common.configurable.Resource;
import io.helidon.common.pki.Keys;
import io.helidon.common.tls.Tls;
import java.nio.file.Files;
import java.nio.file.Path;

/** Reads a certificate and its private key from PEM files. */
public final class Certificates {
  private Certificates() {}

  /**
   * Returns what encrypts connections.
   *
   * @throws InvalidInputException if a file cannot be read or used
   */
  public static Tls read(Path certificates, Path privateKey) {
    for (Path file : new Path[] {certificates, privateKey}) {
      if (!Files.isReadable(file)) {
        throw new InvalidInputException(file + " cannot be read, or is not there");
      }
    }
    try {
      Keys keys =
          Keys.builder()
              .pem(
                  pem ->
                      pem.key(Resource.create(privateKey)).certChain(Resource.create(certificates)))
              .build();
      return Tls.builder().privateKey(keys).privateKeyCertChain(keys).build();
    } catch (RuntimeException e) {
      // Not the reason: it may quote the key.
      throw new InvalidInputException(
          "%s and %s must be PEM files of a certificate and its private key (PKCS 8, not encrypted)"
              .formatted(certificates, privateKey),
          e);
    }
  }
}
