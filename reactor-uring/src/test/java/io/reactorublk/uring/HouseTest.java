package io.reactorublk.uring;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaAccess;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.core.domain.AccessTarget;
import java.lang.foreign.AddressLayout;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.util.Set;
import org.junit.jupiter.api.Test;

/** The rules of the house that a compiler does not know. */
class HouseTest {

    private static final String HOUSE = "io.reactorublk.uring";
    private static final String ABI = HOUSE + ".abi";

    private static final Set<String> API = Set.of("BufferRing", "CompletionHandler", "Errno", "EventLoop", "FileStatus",
            "IoBuffer", "IoBuffer$Fixed", "IoBuffer$Segment", "IoBuffer$Pages",
            "IoBuffer$Owner", "IoBuffer$Registrar", "Kernel", "KernelException", "Ring", "RingConfig", "Sqe",
            "UringFile", "UringOpenOption");

    private static final JavaClasses CLASSES = new ClassFileImporter()
            .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS).importPackages(HOUSE);

    /** Restricted, as in --enable-native-access: what can crash the JVM. */
    private static final DescribedPredicate<JavaAccess<?>> RESTRICTED = DescribedPredicate.describe("a restricted method",
            access -> isRestricted(access.getTarget()));

    private static boolean isRestricted(AccessTarget target) {
        JavaClass owner = target.getOwner();
        return switch (target.getName()) {
            case "reinterpret" -> owner.isAssignableTo(MemorySegment.class) || isGenerated(owner);
            case "downcallHandle", "upcallStub", "nativeLinker" -> owner.isAssignableTo(Linker.class);
            case "libraryLookup" -> owner.isAssignableTo(SymbolLookup.class);
            case "withTargetLayout" -> owner.isAssignableTo(AddressLayout.class);
            case "load", "loadLibrary" -> owner.isEquivalentTo(System.class) || owner.isEquivalentTo(Runtime.class);
            default -> false;
        };
    }

    private static boolean isGenerated(JavaClass type) {
        return type.getPackageName().equals(ABI);
    }

    private static boolean isLinuxKernel(JavaClass type) {
        return type.getName().equals(HOUSE + ".LinuxKernel") || type.getName().startsWith(HOUSE + ".LinuxKernel$");
    }

    private static boolean isPublic(JavaClass type) {
        return type.getModifiers().contains(JavaModifier.PUBLIC);
    }

    @Test
    void packagesHaveNoCycles() {
        slices().matching("io.reactorublk.(**)").should().beFreeOfCycles().check(CLASSES);
    }

    @Test
    void onlyTheLinuxKernelCallsWhatCanCrash() {
        // jextract writes a reinterpret into each structure, which nobody calls.
        noClasses().that(DescribedPredicate.describe("are neither LinuxKernel nor generated",
                        type -> !isLinuxKernel(type) && !isGenerated(type)))
                .should().accessTargetWhere(RESTRICTED).check(CLASSES);
        assertThat(CLASSES.get(LinuxKernel.class).getAccessesFromSelf())
                .as("the rule sees what it forbids").anyMatch(RESTRICTED);
    }

    @Test
    void generatedCodeIsUsedHereOnly() {
        classes().that().resideInAPackage(ABI).should().onlyHaveDependentClassesThat().resideInAPackage(HOUSE + "..")
                .check(CLASSES);
        noClasses().that().resideInAPackage(ABI)
                .should().dependOnClassesThat(resideInAPackage("io.reactorublk..").and(not(resideInAPackage(ABI))))
                .check(CLASSES);
    }

    @Test
    void nobodyBelowTheLoopKnowsPublishers() {
        noClasses().that().haveNameMatching(HOUSE.replace(".", "\\.")
                        + "\\.(Ring|RingConfig|Sqe|BufferRing|IoBuffer|SubmissionQueue|CompletionQueue|CompletionHandler"
                        + "|HandlerTable|Kernel|LinuxKernel|KernelException|Errno)(\\$.*)?")
                .should().dependOnClassesThat().resideInAnyPackage("reactor.core..", "org.reactivestreams..")
                .check(CLASSES);
    }

    @Test
    void whatIsPublicIsTheApi() {
        assertThat(CLASSES.stream()
                .filter(c -> c.getPackageName().equals(HOUSE) && isPublic(c))
                .filter(c -> c.getEnclosingClass().map(HouseTest::isPublic).orElse(true))
                .map(c -> c.getName().substring(HOUSE.length() + 1)))
                .containsExactlyInAnyOrderElementsOf(API);
    }
}
