package dev.precis.server;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import dev.precis.io.InvalidInputException;
import dev.precis.server.models.ServedModels;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.util.Base64;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Encrypted connections, with a certificate of our own. */
class TlsTest {
  private static final char[] PASSWORD = "changeit".toCharArray();

  @TempDir private Path folder;

  private KeyStore certificate() throws Exception {
    Path store = folder.resolve("store.p12");
    Process keytool =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-alias",
                "server",
                "-keyalg",
                "EC",
                "-dname",
                "CN=localhost",
                "-ext",
                "SAN=ip:127.0.0.1,dns:localhost",
                "-storetype",
                "PKCS12",
                "-keystore",
                store.toString(),
                "-storepass",
                new String(PASSWORD))
            .redirectErrorStream(true)
            .start();
    String output = new String(keytool.getInputStream().readAllBytes());
    assertEquals(0, keytool.waitFor(), output);
    KeyStore read = KeyStore.getInstance(store.toFile(), PASSWORD);
    return read;
  }

  private Path pem(String name, String kind, byte[] content) throws Exception {
    String text =
        "-----BEGIN %s-----\n%s\n-----END %s-----\n"
            .formatted(
                kind, Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(content), kind);
    return Files.writeString(folder.resolve(name), text);
  }

  @Test
  void pemFilesEncryptConnections() throws Exception {
    KeyStore store = certificate();
    Path chain = pem("chain.pem", "CERTIFICATE", store.getCertificate("server").getEncoded());
    Path key = pem("key.pem", "PRIVATE KEY", store.getKey("server", PASSWORD).getEncoded());
    KeyStore trusted = KeyStore.getInstance("PKCS12");
    trusted.load(null, null);
    trusted.setCertificateEntry("server", store.getCertificate("server"));
    TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
    trust.init(trusted);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(null, trust.getTrustManagers(), null);
    try (ServedModels models = new ServedModels();
        Server server = Server.start(models, new ServerOptions().tls(chain, key));
        HttpClient client = HttpClient.newBuilder().sslContext(context).build()) {
      HttpResponse<String> response =
          client.send(
              HttpRequest.newBuilder(server.address().resolve("/v1/models")).build(),
              BodyHandlers.ofString());
      assertEquals(200, response.statusCode());
      assertEquals(HttpClient.Version.HTTP_2, response.version());
      assertEquals("https", server.address().getScheme());
    }
    Path damaged = Files.writeString(folder.resolve("damaged.pem"), "secret");
    try (ServedModels models = new ServedModels()) {
      InvalidInputException e =
          assertThrows(
              InvalidInputException.class,
              () -> Server.start(models, new ServerOptions().tls(chain, damaged)));
      assertFalse(e.getMessage().contains("secret"));
      assertThrows(
          InvalidInputException.class,
          () -> Server.start(models, new ServerOptions().tls(folder.resolve("none"), key)));
    }
  }
}
