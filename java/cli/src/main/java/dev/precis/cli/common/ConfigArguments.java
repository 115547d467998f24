package dev.precis.cli.common;

import dev.precis.io.InvalidInputException;
import dev.precis.io.NearestName;
import dev.precis.io.Printable;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * The settings of {@code --config FILE} as arguments of the command line, so that types, ranges and
 * messages are those of the options themselves. What the command line says wins.
 */
public final class ConfigArguments {
  private static final String CONFIG = "--config";

  /** Options that make no sense in a file. */
  private static final Set<String> COMMAND_LINE_ONLY = Set.of(CONFIG, "--help", "--version");

  /** Options of one value that is a list of names with commas; a file may have a list. */
  private static final Set<String> LISTS = Set.of("--target-modules", "--feedforward-modules");

  /** Options of which the one on the command line replaces the other one in the file. */
  private static final Map<String, String> INSTEAD =
      Map.of(
          "--epochs", "--max-steps",
          "--max-steps", "--epochs",
          "--model", "--init",
          "--init", "--model",
          "--input", "--prompt",
          "--prompt", "--input",
          "--holdout", "--eval-data");

  private final CommandSpec command;
  private final Set<OptionSpec> given = new HashSet<>();
  private final Map<String, String> keys = new TreeMap<>();
  private String file;

  private ConfigArguments(CommandSpec command) {
    this.command = command;
  }

  /** Returns the settings of the file that a command line names, if it names one. */
  public static ConfigArguments of(CommandSpec command, List<String> arguments) {
    ConfigArguments config = new ConfigArguments(command);
    if (command.optionsMap().containsKey(CONFIG)) {
      config.scan(arguments);
    }
    return config;
  }

  /** Returns the file as named; null where none was. */
  public String file() {
    return file;
  }

  /** Finds the options that the command line gives, and the file. */
  private void scan(List<String> arguments) {
    for (int i = 0; i < arguments.size(); i++) {
      String[] parts = arguments.get(i).split("=", 2);
      OptionSpec option = command.optionsMap().get(parts[0]);
      if (option == null) {
        continue;
      }
      given.add(option);
      String value = parts.length == 2 ? parts[1] : null;
      if (value == null && option.arity().min() > 0 && i + 1 < arguments.size()) {
        i++;
        value = arguments.get(i);
      }
      if (option.longestName().equals(CONFIG) && value != null) {
        file = value;
      }
    }
  }

  /**
   * Returns the arguments that stand for the file's settings.
   *
   * @throws InvalidInputException if a key is no option's, or a value cannot be one
   */
  public List<String> arguments() {
    ObjectNode settings = RunRecord.options(ConfigFile.read(Path.of(file)), file);
    Map<OptionSpec, String> named = new LinkedHashMap<>();
    List<String> arguments = new ArrayList<>();
    for (Map.Entry<String, JsonNode> setting : settings.properties()) {
      OptionSpec option = option(setting.getKey());
      String earlier = named.put(option, setting.getKey());
      if (earlier != null) {
        throw new InvalidInputException(
            "%s: '%s' and '%s' are the same option: keep one"
                .formatted(file, earlier, setting.getKey()));
      }
      OptionSpec instead = command.optionsMap().get(INSTEAD.get(option.longestName()));
      if (!given.contains(option) && !given.contains(instead) && !setting.getValue().isNull()) {
        keys.put(option.longestName(), setting.getKey());
        add(arguments, option, setting.getKey(), setting.getValue());
      }
    }
    return arguments;
  }

  private OptionSpec option(String key) {
    OptionSpec option = command.optionsMap().get("--" + key);
    if (option != null && !COMMAND_LINE_ONLY.contains(option.longestName())) {
      return option;
    }
    if (option != null) {
      throw new InvalidInputException(
          "%s: '%s' belongs on the command line".formatted(file, Printable.of(key)));
    }
    Set<String> names = new HashSet<>(command.optionsMap().keySet());
    names.removeAll(COMMAND_LINE_ONLY);
    String likely =
        KnownNames.ours("--" + key, names)
            .or(() -> NearestName.of("--" + key, names))
            .map(name -> ", did you mean '" + name.substring(2) + "'?")
            .orElse("");
    throw new InvalidInputException(
        "%s: '%s' is no option of '%s'%s"
            .formatted(file, Printable.of(key), command.qualifiedName(" "), likely));
  }

  private void add(List<String> arguments, OptionSpec option, String key, JsonNode value) {
    String name = option.longestName();
    if (option.arity().max() == 0) {
      if (!value.isBoolean()) {
        throw wrong(key, "must be true or false");
      }
      if (value.booleanValue()) {
        arguments.add(name);
      } else if (option.negatable()) {
        arguments.add(name.replaceFirst("^--", "--no-"));
      }
      return;
    }
    if (value.isBoolean() && option.arity().min() == 0) {
      arguments.add(name + "=" + value.booleanValue());
      return;
    }
    if (!value.isArray()) {
      arguments.add(name + "=" + scalar(key, value));
      return;
    }
    List<String> values = new ArrayList<>();
    value.forEach(each -> values.add(scalar(key, each)));
    if (option.isMultiValue()) {
      values.forEach(each -> arguments.add(name + "=" + each));
    } else if (LISTS.contains(name)) {
      arguments.add(name + "=" + String.join(",", values));
    } else {
      throw wrong(key, "must be one value, not a list");
    }
  }

  private String scalar(String key, JsonNode value) {
    if (value.isContainer() || value.isNull() || value.isBoolean()) {
      throw wrong(key, "must be a text or a number");
    }
    return value.asString();
  }

  private InvalidInputException wrong(String key, String mustBe) {
    return new InvalidInputException("%s: '%s' %s".formatted(file, Printable.of(key), mustBe));
  }

  /** Returns a sentence about an option with where the file says it, if it is from there. */
  String explain(String sentence) {
    for (Map.Entry<String, String> each : keys.entrySet()) {
      if (sentence.matches("(?s).*(?<![\\w-])" + each.getKey() + "(?![\\w-]).*")) {
        return "%s ('%s' in %s)".formatted(sentence, Printable.of(each.getValue()), file);
      }
    }
    return sentence;
  }
}
