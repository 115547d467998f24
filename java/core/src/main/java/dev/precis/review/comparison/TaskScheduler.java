package dev.precis.review.comparison;

import dev.precis.review.comparison.AnnotatorState.Done;
import dev.precis.review.comparison.TaskIds.Task;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Decides what each annotator is asked next: gold pairs spread over the whole work, now and then a
 * pair for the second time, and otherwise the first pair in the plan's order that needs answers.
 */
final class TaskScheduler {
  private static final long REPEAT_SLOT = 1;
  private static final long REPEAT_PAIR = 2;

  /** Choices between the two times of a pair, where there are as many. */
  private static final int DISTANCE = 5;

  private final ComparisonSettings settings;
  private final PairPlan plan;
  private final int[] answers; // of each pair, the first times
  private final Map<String, AnnotatorState> annotators = new LinkedHashMap<>();

  TaskScheduler(ComparisonSettings settings, PairPlan plan, int pairs) {
    this.settings = settings;
    this.plan = plan;
    answers = new int[pairs];
    settings.annotators().forEach(name -> annotators.put(name, new AnnotatorState()));
  }

  AnnotatorState of(String annotator) {
    return annotators.computeIfAbsent(annotator, any -> new AnnotatorState());
  }

  void add(String annotator, Done choice) {
    of(annotator).add(choice);
    answers[choice.task().pair()] += choice.task().repeat() ? 0 : 1;
  }

  Done undo(String annotator) {
    Done last = of(annotator).undo();
    answers[last.task().pair()] -= last.task().repeat() ? 0 : 1;
    return last;
  }

  /** Returns how many answers the project has, repeats included. */
  int done() {
    return annotators.values().stream().mapToInt(each -> each.done().size()).sum();
  }

  /** Returns how many answers the project has and needs, repeats not counted. */
  long[] progress() {
    long have = 0;
    for (int pair : plan.order()) {
      have += Math.min(answers[pair], settings.overlap());
    }
    for (int pair : plan.gold()) {
      have += answers[pair];
    }
    long need =
        (long) plan.order().length * settings.overlap()
            + (long) plan.gold().length * annotators.size();
    return new long[] {have, need};
  }

  /** Returns the tasks that come next, fewer if there are no more; they are then handed out. */
  List<Task> next(String annotator, int count) {
    AnnotatorState state = of(annotator);
    while (state.reserved().size() < count) {
      Task task = draw(annotator, state);
      if (task == null) {
        break;
      }
      state.reserved().add(task);
    }
    return List.copyOf(state.reserved().subList(0, Math.min(count, state.reserved().size())));
  }

  private Task draw(String annotator, AnnotatorState state) {
    int slot = state.done().size() + state.reserved().size();
    Task gold = gold(state, slot, false);
    if (gold != null) {
      return gold;
    }
    Task repeat = repeat(annotator, state, slot);
    if (repeat != null) {
      return repeat;
    }
    Task regular = regular(state, true);
    if (regular == null) {
      regular = regular(state, false); // another annotator has it before him, and may have left
    }
    return regular != null ? regular : gold(state, slot, true);
  }

  private Task gold(AnnotatorState state, int slot, boolean now) {
    int[] gold = plan.gold();
    int taken = state.countTaken(gold);
    if (taken == gold.length) {
      return null;
    }
    double share = (double) plan.order().length * settings.overlap() / annotators.size();
    double due = (taken + 0.5) * (gold.length + share) / gold.length;
    if (!now && slot < Math.floor(due)) {
      return null;
    }
    for (int pair : gold) {
      Task task = new Task(pair, false);
      if (!state.isTaken(task)) {
        return task;
      }
    }
    return null;
  }

  /** Returns a pair to ask again, where it is time for one. */
  private Task repeat(String annotator, AnnotatorState state, int slot) {
    long made = state.count(true) + state.reserved().stream().filter(Task::repeat).count();
    // One in each stretch of 1 / repeats, at a place of its own.
    double due = (made + plan.uniform(annotator, REPEAT_SLOT, made)) / settings.repeats();
    if (settings.repeats() == 0 || slot < Math.max(due, DISTANCE)) {
      return null;
    }
    List<Task> candidates = new ArrayList<>();
    for (Done each : state.done().subList(0, Math.max(0, state.done().size() - DISTANCE + 1))) {
      Task again = new Task(each.task().pair(), true);
      if (!each.task().repeat() && !each.skipped() && !state.isTaken(again)) {
        candidates.add(again);
      }
    }
    return candidates.isEmpty()
        ? null
        : candidates.get((int) (candidates.size() * plan.uniform(annotator, REPEAT_PAIR, made)));
  }

  private Task regular(AnnotatorState state, boolean leavesReserved) {
    Map<Integer, Integer> reserved =
        AnnotatorState.reservations(
            annotators.values().stream().filter(other -> other != state).toList());
    for (int pair : plan.order()) {
      Task task = new Task(pair, false);
      int others = leavesReserved ? reserved.getOrDefault(pair, 0) : 0;
      if (answers[pair] + others < settings.overlap() && !state.isTaken(task)) {
        return task;
      }
    }
    return null;
  }
}
