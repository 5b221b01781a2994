package main

import (
	"context"
	"net/netip"
	"sync"

	"github.com/spf13/cobra"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// addresses hands out a network's addresses to Services of type LoadBalancer: kube-proxy does the rest.
type addresses struct {
	client  kubernetes.Interface
	network netip.Prefix
	mutex   sync.Mutex
	owners  map[netip.Addr]string
}

func newLoadBalancerCommand() *cobra.Command {
	var kubeconfig, network string
	command := &cobra.Command{Use: "load-balancer", RunE: func(command *cobra.Command, _ []string) error {
		config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
		if err != nil {
			return err
		}
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			return err
		}
		client := kubernetes.NewForConfigOrDie(config)
		handOut(command.Context(), &addresses{client: client, network: prefix, owners: map[netip.Addr]string{}})
		return nil
	}}
	command.Flags().StringVar(&kubeconfig, "kubeconfig", "", "how to reach the API server")
	command.Flags().StringVar(&network, "network", "", "the network whose addresses are handed out")
	return command
}

func handOut(ctx context.Context, pool *addresses) {
	factory := informers.NewSharedInformerFactory(pool.client, 0)
	handlers := cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { pool.changed(ctx, object.(*v1.Service)) },
		UpdateFunc: func(_, object any) { pool.changed(ctx, object.(*v1.Service)) },
		DeleteFunc: pool.deleted,
	}
	if _, err := factory.Core().V1().Services().Informer().AddEventHandler(handlers); err != nil {
		klog.Fatal(err)
	}
	factory.Start(ctx.Done())
	select {} // until it is killed, with the whole cluster
}

// changed gives a Service the address that it asks for, or any; an address outside of the network is never given.
func (a *addresses) changed(ctx context.Context, service *v1.Service) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	owner := service.Namespace + "/" + service.Name
	var has netip.Addr
	if ingress := service.Status.LoadBalancer.Ingress; len(ingress) > 0 {
		has, _ = netip.ParseAddr(ingress[0].IP)
		a.owners[has] = owner
	}
	wants := a.wanted(service, owner)
	if wants == has {
		return
	}
	a.release(owner)
	update := service.DeepCopy()
	update.Status.LoadBalancer.Ingress = nil
	if wants.IsValid() {
		mode := v1.LoadBalancerIPModeVIP
		update.Status.LoadBalancer.Ingress = []v1.LoadBalancerIngress{{IP: wants.String(), IPMode: &mode}}
	}
	if _, err := a.client.CoreV1().Services(service.Namespace).UpdateStatus(ctx, update, metav1.UpdateOptions{}); err != nil {
		klog.Infof("%s: %v", owner, err) // somebody was faster, and that change comes here too
		return
	}
	if wants.IsValid() {
		a.owners[wants] = owner
	}
	klog.Infof("%s: %s", owner, wants)
}

func (a *addresses) wanted(service *v1.Service, owner string) netip.Addr {
	if service.Spec.Type != v1.ServiceTypeLoadBalancer || service.DeletionTimestamp != nil {
		return netip.Addr{}
	}
	if asked := service.Spec.LoadBalancerIP; asked != "" {
		if address, err := netip.ParseAddr(asked); err == nil && a.isFree(address, owner) {
			return address
		}
		return netip.Addr{}
	}
	for address, of := range a.owners {
		if of == owner {
			return address
		}
	}
	address := a.network.Addr().Next()
	for ; a.network.Contains(address); address = address.Next() {
		if a.isFree(address, owner) {
			return address
		}
	}
	return netip.Addr{}
}

func (a *addresses) isFree(address netip.Addr, owner string) bool {
	of, taken := a.owners[address]
	return a.network.Contains(address) && (!taken || of == owner)
}

func (a *addresses) deleted(object any) {
	if tombstone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = tombstone.Obj
	}
	if service, ok := object.(*v1.Service); ok {
		a.mutex.Lock()
		defer a.mutex.Unlock()
		a.release(service.Namespace + "/" + service.Name)
	}
}

func (a *addresses) release(owner string) {
	for address, of := range a.owners {
		if of == owner {
			delete(a.owners, address)
		}
	}
}
