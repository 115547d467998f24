package dev.precis.spring;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import dev.precis.T5;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.jar.Attributes;
import java.util.jar.JarEntry;
import java.util.jar.JarInputStream;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.stream.Stream;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** An application that is one jar of jars, as Spring Boot packages it, finds the native library. */
class FatJarTest {
  private static final Path MODEL =
      Path.of("../core/src/test/resources/fixtures/t5-tiny").toAbsolutePath().normalize();

  @TempDir private Path folder;

  @Test
  void theLibraryIsFoundInAJarOfAJar() throws Exception {
    Path jar = folder.resolve("application.jar");
    write(jar);
    Path output = folder.resolve("output.txt");
    Process process =
        new ProcessBuilder(
                ProcessHandle.current().info().command().orElseThrow(),
                "--enable-native-access=ALL-UNNAMED",
                "-Djava.io.tmpdir=" + folder,
                "-Duser.home=" + folder,
                "-jar",
                jar.toString(),
                "--precis.model=" + MODEL,
                "--precis.threads=1")
            .directory(folder.toFile())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
    assertTrue(process.waitFor(2, TimeUnit.MINUTES), "it does not end");
    String said = Files.readString(output);
    assertEquals(0, process.exitValue(), said);
    try (T5 t5 = T5.load(MODEL, new T5.LoadOptions().threads(1))) {
      String want =
          t5.generate("Hello.", t5.defaultOptions().with().maxNewTokens(8).build()).text();
      assertTrue(said.contains("answer: " + want), said);
    }
  }

  /** Writes the loader, this module's classes and, uncompressed as it wants them, all jars. */
  private static void write(Path jar) throws IOException {
    Manifest manifest = new Manifest();
    Attributes main = manifest.getMainAttributes();
    main.put(Attributes.Name.MANIFEST_VERSION, "1.0");
    main.put(Attributes.Name.MAIN_CLASS, "org.springframework.boot.loader.launch.JarLauncher");
    main.putValue("Start-Class", FatApplication.class.getName());
    main.putValue("Spring-Boot-Classes", "BOOT-INF/classes/");
    main.putValue("Spring-Boot-Lib", "BOOT-INF/lib/");
    int number = 0;
    try (JarOutputStream out = new JarOutputStream(Files.newOutputStream(jar), manifest)) {
      for (String part : System.getProperty("java.class.path").split(File.pathSeparator)) {
        Path path = Path.of(part);
        String name = path.getFileName().toString();
        if (name.startsWith("spring-boot-loader")) {
          copyLoader(path, out);
        } else if (Files.isDirectory(path)) {
          store(out, "BOOT-INF/lib/classes-" + number++ + ".jar", packed(path));
        } else if (name.endsWith(".jar")) {
          store(out, "BOOT-INF/lib/" + number++ + "-" + name, Files.readAllBytes(path));
        }
      }
    }
  }

  private static void copyLoader(Path loader, JarOutputStream out) throws IOException {
    try (JarInputStream in = new JarInputStream(Files.newInputStream(loader))) {
      for (JarEntry entry = in.getNextJarEntry(); entry != null; entry = in.getNextJarEntry()) {
        if (!entry.isDirectory() && !entry.getName().startsWith("META-INF/")) {
          out.putNextEntry(new JarEntry(entry.getName()));
          in.transferTo(out);
          out.closeEntry();
        }
      }
    }
  }

  private static byte[] packed(Path classes) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (JarOutputStream out = new JarOutputStream(bytes);
        Stream<Path> files = Files.walk(classes)) {
      for (Path file : (Iterable<Path>) files.filter(Files::isRegularFile)::iterator) {
        out.putNextEntry(
            new JarEntry(classes.relativize(file).toString().replace(File.separatorChar, '/')));
        Files.copy(file, out);
        out.closeEntry();
      }
    }
    return bytes.toByteArray();
  }

  private static void store(JarOutputStream out, String name, byte[] bytes) throws IOException {
    CRC32 crc = new CRC32();
    crc.update(bytes);
    JarEntry entry = new JarEntry(name);
    entry.setMethod(ZipEntry.STORED);
    entry.setSize(bytes.length);
    entry.setCrc(crc.getValue());
    out.putNextEntry(entry);
    out.write(bytes);
    out.closeEntry();
  }
}
