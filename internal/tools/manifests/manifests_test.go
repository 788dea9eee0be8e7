// Package manifests_test checks the Kubernetes manifests in deploy/kubernetes. It is a separate
// module, so that the server's module does not depend on Kubernetes' packages.
package manifests_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	batch "k8s.io/api/batch/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// objects decodes every manifest. An unknown or duplicate member is an error.
func objects(t *testing.T) []any {
	t.Helper()
	files, err := filepath.Glob("../../../deploy/kubernetes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no manifests: %v", err)
	}
	var found []any
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range bytes.Split(data, []byte("\n---\n")) {
			found = append(found, decode(t, file, document))
		}
	}
	return found
}

func decode(t *testing.T, file string, document []byte) any {
	t.Helper()
	var kind struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal(document, &kind); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	types := map[string]any{
		"batch/v1 Job": &batch.Job{}, "apps/v1 Deployment": &apps.Deployment{},
		"policy/v1 PodDisruptionBudget": &policy.PodDisruptionBudget{},
		"v1 Service":                    &core.Service{}, "networking.k8s.io/v1 Ingress": &networking.Ingress{},
		"networking.k8s.io/v1 NetworkPolicy": &networking.NetworkPolicy{},
	}
	object, known := types[kind.APIVersion+" "+kind.Kind]
	if !known {
		t.Fatalf("%s: %+v is of a type that this test does not know", file, kind)
	}
	if err := yaml.UnmarshalStrict(document, object); err != nil {
		t.Fatalf("%s: %s: %v", file, kind.Kind, err)
	}
	return object
}

// the returns the only object of a type.
func the[T any](t *testing.T) T {
	t.Helper()
	for _, object := range objects(t) {
		if found, ok := object.(T); ok {
			return found
		}
	}
	var none T
	t.Fatalf("there is no %T", none)
	return none
}

func TestPods_areConfined(t *testing.T) {
	t.Parallel()
	for _, pod := range []core.PodSpec{the[*apps.Deployment](t).Spec.Template.Spec,
		the[*batch.Job](t).Spec.Template.Spec} {
		container := pod.Containers[0]
		limits := container.SecurityContext
		if !*limits.ReadOnlyRootFilesystem || *limits.AllowPrivilegeEscalation ||
			!slices.Contains(limits.Capabilities.Drop, "ALL") {
			t.Errorf("%s: %+v", container.Name, limits)
		}
		if as := pod.SecurityContext; !*as.RunAsNonRoot || *as.RunAsUser != 65532 || *as.FSGroup != 65532 {
			t.Errorf("%s: %+v", container.Name, as)
		}
		if *pod.EnableServiceLinks || *pod.AutomountServiceAccountToken {
			t.Errorf("%s has variables of services, or a token of the cluster", container.Name)
		}
		if container.Resources.Requests.Memory().IsZero() || container.Resources.Limits.Memory().IsZero() {
			t.Errorf("%s: %+v", container.Name, container.Resources)
		}
	}
}

// Each variable with the path of a file names a file that the pod mounts.
func TestPods_mountTheSecretsThatTheyRead(t *testing.T) {
	t.Parallel()
	for _, pod := range []core.PodSpec{the[*apps.Deployment](t).Spec.Template.Spec,
		the[*batch.Job](t).Spec.Template.Spec} {
		mount, source := pod.Containers[0].VolumeMounts[0], pod.Volumes[0]
		mounted := map[string]bool{}
		for _, item := range source.Secret.Items {
			mounted[mount.MountPath+"/"+item.Path] = true
		}
		for _, variable := range pod.Containers[0].Env {
			if strings.HasSuffix(variable.Name, "_FILE") {
				if !mounted[variable.Value] {
					t.Errorf("%s: nothing is mounted at %s", variable.Name, variable.Value)
				}
				delete(mounted, variable.Value)
			}
		}
		if len(mounted) > 0 || mount.Name != source.Name {
			t.Errorf("%s: %v is mounted and not read", pod.Containers[0].Name, mounted)
		}
	}
}

func TestDeployment_stopsGracefully(t *testing.T) {
	t.Parallel()
	d := the[*apps.Deployment](t)
	pod, container := d.Spec.Template.Spec, d.Spec.Template.Spec.Containers[0]
	const drain = 31 // seconds between the signal and the end of the server, at most
	if pause := container.Lifecycle.PreStop.Sleep.Seconds; *pod.TerminationGracePeriodSeconds <= pause+drain {
		t.Errorf("%d s are too few", *pod.TerminationGracePeriodSeconds)
	}
	if *d.Spec.Replicas < 2 || d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 {
		t.Errorf("%d instances, %v may be away", *d.Spec.Replicas, d.Spec.Strategy.RollingUpdate.MaxUnavailable)
	}
	for path, probe := range map[string]*core.Probe{"/healthz": container.LivenessProbe,
		"/readyz": container.ReadinessProbe} {
		if probe.HTTPGet.Path != path || probe.HTTPGet.Port.String() != "http" {
			t.Errorf("%s: %+v", path, probe.HTTPGet)
		}
	}
}

// Selectors and named ports match the pods of the deployment.
func TestService_leadsToThePods(t *testing.T) {
	t.Parallel()
	d, service, ingress := the[*apps.Deployment](t), the[*core.Service](t), the[*networking.Ingress](t)
	for name, selector := range map[string]map[string]string{
		"deployment": d.Spec.Selector.MatchLabels, "service": service.Spec.Selector,
		"budget": the[*policy.PodDisruptionBudget](t).Spec.Selector.MatchLabels,
		"policy": the[*networking.NetworkPolicy](t).Spec.PodSelector.MatchLabels,
	} {
		for key, value := range selector {
			if d.Spec.Template.Labels[key] != value {
				t.Errorf("%s selects %s=%s", name, key, value)
			}
		}
	}
	ports := map[string]bool{}
	for _, port := range d.Spec.Template.Spec.Containers[0].Ports {
		ports[port.Name] = true
	}
	if to := service.Spec.Ports[0]; !ports[to.TargetPort.String()] {
		t.Errorf("the service leads to %s", to.TargetPort.String())
	}
	backend := ingress.Spec.Rules[0].HTTP.Paths[0].Backend.Service
	if backend.Name != service.Name || backend.Port.Name != service.Spec.Ports[0].Name {
		t.Errorf("the ingress leads to %+v", backend)
	}
}
